# Logging in and out

login-title = Log in
login-name = Login
login-password = Password
login-submit = Log in

problem-credentials = The login or password is wrong, or the account is locked for a while.
hint-credentials = Check both and try again. After several wrong tries, wait a little first.
problem-too-many = Too many tries. Wait { $span }, then try again.
problem-restart = This login has expired, or settings were changed meanwhile. Please log in again from the start.
problem-locked = This account is locked just now. Log in again from the start later, or ask your administrator.
problem-form-expired = This page has expired. Please try once more.
hint-form-expired = If you keep seeing this, check that your browser accepts cookies.
notice-signed-out = You have logged out.
notice-cancelled = Setup was cancelled and nothing was stored. To go on, log in again.
notice-confirm = To go on, two-step login has to be set up. Log in once more to confirm that it is you.
notice-held = What you entered was kept. After you have logged in, you will be asked whether to send it.

logout-title = Log out
logout-text = You are logged in as { $login }. Do you want to log out?
logout-submit = Log out
logout-back = Stay logged in

held-title = Send what you entered?
held-text = When you sent this form, you had to log in again or to give a code first. It was kept, and has not been sent yet.
held-as = Logged in as
held-address = Goes to
held-fields = Fields
held-no-fields = none
held-more = { $count ->
    [one] and one more
   *[other] and { $count } more
  }
held-submit = Send it now
held-discard = Do not send it

landing-title = You are logged in
landing-home = Go to { $title }
landing-administration = Administration
