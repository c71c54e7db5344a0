# One's own settings, page by page

confirm-title = Confirm that it is you
confirm-lead = Before you change how you log in, please enter your password once more.
confirm-back = Go back without changing anything
problem-confirm-password = That password is wrong, or too many wrong ones were entered. Check it and try again, or wait a little first.

account-none = Not set
account-by-managers = If your login or name is wrong, ask your administrator.
account-security = Logging in
account-access = Where you are known
account-password-changed = Changed
account-change = Change
account-open = Open
account-second-factor = Two-step login
own-count = { $count }
own-first-seen = First seen
own-last-seen = Last seen
own-this-browser = This browser
own-unknown-browser = Unknown browser

factor-by-app = Authenticator app
factor-by-mail = Codes by mail
factor-none = No second step is set up
factor-none-note = Your password alone lets anybody in who knows it.
factor-on = On
factor-off = Off
factor-enrolled = Set up
factor-switch-on = Switch on codes by mail
factor-switch-on-hint = When you log in, you are then asked for a code that is sent to your mail address.
factor-set-up-app = Set up an authenticator app
factor-set-up-app-hint = You then log in with your password and a code from an app on your phone. You get recovery codes with it. Other sessions of yours are logged out.
factor-change-app = Change the app
factor-change-app-hint = For a new phone, or another app. The one you have now works until the new one is set up; then it stops, together with your recovery codes, and your other sessions are logged out.
factor-give-up = Remove the second step
factor-give-up-hint = You then log in with your password alone. Your recovery codes stop working, and your other sessions are logged out.
factor-required-note = A second step is required here. It can be changed, but not removed.
done-factor-removed = The second step was removed.
done-factor-on = Codes by mail are switched on.
done-confirmed = Thank you. You can go on now.
done-password = Your password was changed.
problem-factor-required = A second step is required here, so it cannot be removed.
problem-factor-not-in-use = Nothing here asks for a second step.
problem-no-factor = There is no second step set up.

own-codes-left = { $count } left
own-codes-note = For when you cannot use your second step
own-codes-unsaved = You have not said yet that you have saved your recovery codes.
own-codes-made = Made
own-codes-none = You have no recovery codes.
own-codes-lead = With a recovery code you can log in when your phone or your mail is out of reach. Each works once.
own-codes-renew = Make new recovery codes
own-codes-renew-hint = They are shown once. All earlier ones stop working at once.
recovery-codes-anew = These are your new recovery codes; all earlier ones no longer work. They are shown only this once.

devices-title = Devices
devices-note = Browsers that have passed your second step
devices-lead = These browsers have passed your second step. Forget those that you do not know or no longer use: they are asked for a code again, and sessions begun there are logged out.
devices-remembered = Code skipped
devices-none = No browser is known.
devices-forget = Forget
devices-forget-all = Forget all devices
devices-forget-all-hint = Every browser is asked for a code at its next login, this one too. You stay logged in here.
done-device-forgotten = The device was forgotten.
done-devices-forgotten = All devices were forgotten.
problem-device-gone = This device is not there any more.

sessions-title = Sessions
sessions-note = Where you are logged in now
sessions-lead = You are logged in in these places. Log out those that are not yours, and then change your password.
sessions-begun = Logged in
sessions-this = This session
sessions-end-others = Log out all others
sessions-end-others-hint = You stay logged in here.
done-session-ended = The session was logged out.
done-sessions-ended = All other sessions were logged out.
problem-session-gone = This session is not there any more.

landing-account = Your account settings
