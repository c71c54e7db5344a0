# The overview of administration

nav-overview = Overview

overview-title = Overview
overview-few-admins = { $count ->
    [0] No administrator can log in.
   *[one] Only one administrator can log in.
}
overview-few-admins-hint = If that account is lost, nobody is left to help on these pages. Make a second one.
overview-show-admins = Show the administrators
overview-accounts = Accounts
overview-sessions = Sessions now
overview-locked = Locked now
overview-unused = Unused for 90 days
overview-disabled = Disabled
overview-sign-ins = Logins
overview-failures = Failed attempts
overview-last-days = The last { $count } days (UTC):
overview-in-all = { $total } in all
overview-plot-desc = One bar a day, { $total } in all. The highest is { $highest }, on { $day }.
overview-plot-empty = There was nothing on these days.
overview-as-table = As a table
overview-day = Day
overview-locked-title = Locked accounts
overview-show-locked = Show all of them
overview-nobody-locked = No account is locked.
overview-factor = Second factor
overview-factor-share = { $percent }% have one set up ({ $part } of { $whole } accounts)
overview-without-factor = { $count ->
    [one] Show the account without one
   *[other] Show the { $count } accounts without one
}
