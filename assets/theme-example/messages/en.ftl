# Only what is to be said differently; everything else keeps sekisho's words.
login-submit = Go to the shop's back room
guarded = For the staff of Maruni Shop. Extension 2400 helps.
