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
users-policy-off = No second factor is asked for here, whatever the account's own switch says.
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
