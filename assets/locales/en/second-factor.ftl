# The second factor

second-factor-title = Enter your code
second-factor-lead = Open your authenticator app and enter the code it shows.
second-factor-again = Please confirm once more that it is you: enter the code that your authenticator app shows.
second-factor-as = Login
second-factor-submit = Continue
second-factor-another-way = Try another way
second-factor-no-other-way = If this does not work, ask your administrator.
second-factor-restart = Start again or use another account

code-label = Code
code-hint = { $digits } digits
remember = Skip the code on this device for { $span }
remember-hint = Leave this off on a device that others use too.

problem-wrong-code = That code is wrong. Enter the one your app shows now.
problem-used-code = That code was used already. Wait until your app shows the next one.
problem-code-missing = Enter the code.
hint-clock = If your phone’s clock is off, codes do not match. Set its date and time to automatic, then try again.

# A code by mail

mailed-lead = Enter the code that was sent to you by mail.
mailed-again = Please confirm once more that it is you.
mailed-held-back = A code was mailed to { $address } a moment ago, for another login. It does not work here: have one sent for this login.
mailed-send = Send a code
mailed-send-wait = You can have it sent in { $span }.
mailed-on-its-way = A mail with a code is on its way to { $address }.
mailed-sent = A mail with a code was sent to { $address }.
mailed-failed = The mail to { $address } could not be delivered. Send it again, or ask your administrator.
mailed-hint = { $digits } digits, valid for { $span }
mailed-resend = Send the code again
mailed-resend-wait = You can have it sent again in { $span }.
mailed-resend-hint = Only the newest code works. Not there? Look among the unwanted mail too.

problem-wrong-mailed-code = That code is wrong. Enter the one from the newest mail.
problem-used-mailed-code = That code was used already. Have a new one sent.
problem-no-code-yet = No code was mailed for this login yet, and that of another login does not work here. Have one sent.
problem-expired-code = That code has expired. Have a new one sent.
problem-too-many-tries = That code was tried too many times and is no longer valid. Have a new one sent.
problem-resend-wait = It is too soon to send another mail. Wait { $span }, then try again.
notice-resent = A new code is on its way. The one before it no longer works.

# Recovery codes

recovery-title = Use a recovery code
recovery-lead = Enter one of the recovery codes that you saved when you set up two-step login. Each works once.
recovery-label = Recovery code
recovery-back = Back
recovery-none-left = If you have no recovery codes, ask your administrator to reset your two-step login.
problem-wrong-recovery-code = That recovery code is wrong or was already used.

recovery-codes-title = Save your recovery codes
recovery-codes-lead = Your app is set up. Should you lose it, one of these codes lets you log in all the same. They are shown only this once.
recovery-codes-heading = Recovery codes
recovery-codes-each-once = Each code works once.
recovery-codes-download = Download as a text file
recovery-codes-keep = Print the codes, or keep them in a password manager: somewhere safe, and not only on your phone.
recovery-codes-saved = I have saved them

recovery-file-account = Account
recovery-file-issuer = Issuer
recovery-file-date = Date
recovery-file-used = Tick a code once you have used it.

welcome-title = Before you go on
welcome-codes-left = { $count ->
    [0] You have no recovery codes left.
    [one] You have only { $count } recovery code left.
   *[other] You have only { $count } recovery codes left.
}
welcome-codes-unsaved = You have not confirmed that your recovery codes are saved. If you do not have them, make new ones; those from before then stop working.
welcome-codes-new = Make new recovery codes
welcome-by-recovery-code = You logged in with a recovery code. That code cannot be used again.
welcome-again-text = If you have lost your app or changed your phone, set the app up anew now. You get new recovery codes with it, and the old app and codes stop working.
welcome-again = Set the app up anew
welcome-later = Go on without doing so
welcome-go-on = Go on

enrol-title = Set up two-step login
enrol-lead = From now on you log in with your password and a code from an app. The key below is shown only this once.
enrol-app = Have an authenticator app ready
enrol-app-text = Any app for one-time codes (TOTP) will do: Google Authenticator, Microsoft Authenticator, 1Password and others.
enrol-scan = Scan this QR code with the app
enrol-qr = QR code for your authenticator app
enrol-open-app = Open in your app
enrol-by-hand = If you cannot scan it, type this into the app:
enrol-account = Account
enrol-issuer = Issuer
enrol-key = Key
enrol-confirm = Enter the code that the app shows
enrol-submit = Finish setup
enrol-cancel = Cancel and go back to the login page
enrol-later = Go on without it for now
