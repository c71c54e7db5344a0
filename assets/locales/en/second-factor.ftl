# The second factor

second-factor-title = Enter your code
second-factor-lead = Open your authenticator app and enter the code it shows.
second-factor-again = Please confirm once more that it is you: enter the code that your authenticator app shows.
second-factor-as = Login
second-factor-submit = Continue
second-factor-restart = Start again or use another account

code-label = Code
code-hint = { $digits } digits
remember = Skip the code on this device for { $span }
remember-hint = Leave this off on a device that others use too.

problem-wrong-code = That code is wrong. Enter the one your app shows now.
problem-used-code = That code was used already. Wait until your app shows the next one.
problem-code-missing = Enter the code.
hint-clock = If your phone’s clock is off, codes do not match. Set its date and time to automatic, then try again.

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
