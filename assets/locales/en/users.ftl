# The list of accounts

nav-users = Accounts

users-title = Accounts
users-add = Add an account
users-export = Export as CSV
users-search = User ID, login, name or mail address
users-search-submit = Search
users-clear = Clear
users-more = More conditions
users-any = Any
users-group = Group
users-method = Method
users-enrolled = App or mailbox
users-last-login-from = Last login from (UTC)
users-last-login-to = Last login to (UTC)
users-total = { $total ->
    [one] One account.
   *[other] { $total } accounts; { $first } to { $last } are shown.
}
users-policy-required = The second factor is required of everybody here, whatever the account's own switch says.
users-policy-off = No route asks for a second factor. The account's own switch counts for sekisho's own pages alone.
users-none = There is no account yet.
users-none-found = No account matches these conditions.
users-pages = Pages
users-page = Page { $page } of { $pages }
users-page-first = First
users-page-previous = Previous
users-page-next = Next
users-page-last = Last

users-column-id = User ID
users-column-login = Login
users-column-name = Name
users-column-email = Mail address
users-column-role = Role
users-column-groups = Groups
users-column-second-factor = Second factor
users-column-last-login = Last login
users-column-registered = Registered
users-column-state = State

users-role-user = User
users-role-viewer = Viewer
users-role-manager = Manager
users-role-admin = Administrator
users-switch-on = On
users-switch-off = Off
users-method-totp = App
users-method-mail = Mail
users-enrolled-yes = Set up
users-enrolled-no = Not set up
users-last-login-never = Never
users-last-login-unused = Not for 90 days
users-state-active = Active
users-state-locked = Locked
users-state-disabled = Disabled
users-locked-until = until { $moment }
users-locked-until-unlocked = until it is unlocked

users-pick = Ticked
users-pick-one = Tick { $login }
users-act = With the ticked accounts
users-act-submit = Continue
users-act-choose = Choose what to do
users-act-hint = Accounts without a mail address cannot be given codes by mail; they are left out.
users-act-second-factor-on = Switch the second factor on
users-act-second-factor-on-text = Whoever has none yet sets one up at the next login.
users-act-second-factor-off = Switch the second factor off
users-act-second-factor-off-text = Their apps, recovery codes and known devices are forgotten, and they are logged out. Where a second factor is required, they set up a new one at the next login.
users-act-method-totp = Change the method to the app
users-act-method-totp-text = They are logged out and set up an app at the next login.
users-act-method-mail = Change the method to mail
users-act-method-mail-text = Their apps and recovery codes are forgotten, and they are logged out. At the next login they get a code by mail.
users-act-disable = Disable
users-act-disable-text = They are logged out at once and cannot log in until they are enabled again.
users-act-enable = Enable
users-act-enable-text = They can log in again.
users-act-unlock = Unlock
users-act-unlock-text = Wrong passwords and codes counted so far are forgotten.
users-act-end-sessions = Log out everywhere
users-act-end-sessions-text = All their sessions end at once. They can log in again.
users-ask = { $count ->
    [one] This will be done to one account
   *[other] This will be done to { $count } accounts
}
users-ask-submit = Do it
users-left-out = { $count ->
    [one] One account is left out
   *[other] { $count } accounts are left out
}
users-done = Done: { $count }. Not done: { $left }.
users-result = Result
users-result-done = Done
users-result-not-done = Not done
users-already = It is so already.
users-no-address = The account has no mail address.
users-failed = It could not be done just now. Try again.
users-back = Back to the list
users-done-nothing-ticked = No account is ticked.
users-done-no-act = Choose what to do with the ticked accounts.
users-done-too-many = At most 500 accounts can be changed at once.
