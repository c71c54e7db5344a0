# A new password

password-due-title = Change your password
password-due-expired = Your password has been in use for long. To go on, choose a new one.
password-due-given = An administrator asks for a new password. To go on, choose one.
password-due-submit = Change and go on

password-own-title = Change your password
password-own-lead = Every other device and browser of yours has to sign in again afterwards.
password-own-submit = Change password
password-own-back = Back to your account
password-current = Current password
password-current-wrong = Your current password is wrong, or the account is locked for a while.

new-password = New password
new-password-again = New password, once more
password-show = Show password
password-hide = Hide password

password-rules = What it has to be:
password-rule-met = {" "}(fulfilled)
password-rule-length = { $count } to { $most } characters
password-rule-classes = At least { $count } of: lower case, upper case, digits, other characters
password-rule-personal = Without your login, name or mail address
password-rule-leaked = None that leaked elsewhere and is often used (checked after sending)
password-rule-unchanged = Not the one before (checked after sending)

new-password-missing = Enter a new password.
new-password-differs = The two passwords are not the same. Enter the same one twice.
new-password-too-short = This password is too short. It needs at least { $count } characters.
new-password-too-long = This password is too long. It may have at most { $count } characters.
new-password-too-few-classes = This password needs at least { $count } of: lower case, upper case, digits, other characters.
new-password-personal = A password must not contain your login, name or mail address.
new-password-leaked = This password has leaked before and is easy to guess, and so is one with digits or marks added to it. Choose another one.
new-password-unchanged = This is the password that you have now. Choose another one.

# A forgotten password

forgot-link = Forgot your password?
forgot-title = Set a new password
forgot-lead = Enter your login or your mail address. You will get a mail with a link by which you can set a new password.
forgot-who = Login or mail address
forgot-submit = Send the link
forgot-missing = Enter your login or your mail address.
forgot-sent = If there is such an account, a mail is on its way to the address that it has. Please look into your mailbox.
forgot-not-there = Nothing after a few minutes? Look among the spam, then ask your administrator.
forgot-back = To the login page
notice-password-reset = Your new password is set. Log in with it.

reset-title = Set a new password
reset-lead = Every device that you were logged in on has to log in again afterwards.
reset-lead-first = Choose the first password of your account.
reset-submit = Set password
reset-code-hint = This account gets its codes by mail, so that the mailbox alone is not enough: one of your recovery codes is needed, too. If you have none, ask your administrator.
reset-code-missing = Enter a recovery code.
reset-gone = This link is good no more: it was used, it is too old, or a newer one was sent.
reset-again = Have a new link sent
