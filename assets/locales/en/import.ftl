# Accounts from a list

import-title = Import accounts
import-lead = A list from a spreadsheet becomes accounts. Nothing changes before you have seen and confirmed what will.
import-choose = Choose a list
import-file = CSV file
import-file-hint = Comma, semicolon or tab between the columns; UTF-8 or Shift_JIS. At most { $rows } rows and { $mib } MiB.
import-text = Or paste the list here
import-update = Change accounts that exist already
import-update-hint = Otherwise their rows are refused. An empty cell leaves what is there.
import-check = Check the list
import-format = Columns
import-format-text = The first row names the columns, in any order. Only the login is needed.
import-column-login = Login
import-column-name = Name
import-column-email = Mail address
import-column-groups = Groups
import-column-role = Role
import-column-method = Method of the second factor
import-column-second-factor = Second factor
import-content-login = Needed. Letters, digits and . _ - @ +
import-content-name = At most 128 characters
import-content-email = As in name@example.com
import-content-groups = Several are separated by commas or blanks
import-content-role = user, viewer, manager or admin; user where it is empty
import-content-method = totp (authenticator app) or mail
import-content-second-factor = on or off
import-no-passwords = A list has no passwords. People choose theirs by a link that is mailed to them.

import-problem-gone = This list is not there any more: it was kept for ten minutes, was imported, or another list took its place. Please choose it again.
import-problem-empty = There are no rows in this list. Choose a file, or paste a list with a first row that names the columns.
import-problem-too-large = The file is larger than { $mib } MiB. Split it into several.
import-problem-too-many-rows = There are more than { $rows } rows in this list. Split it into several.
import-problem-too-many-columns = The first row has too many columns. Is it the row that names them?
import-problem-unknown-encoding = This file is neither UTF-8 nor Shift_JIS. Save it as “CSV UTF-8” and choose it again.
import-problem-no-text = This is no text file. In your spreadsheet, save the list as CSV and choose that file.
import-problem-no-login = The first row names no column “login”. It has to name the columns, as in: login,name,email
import-problem-column-twice = The column “{ $name }” stands there twice, or under two names. Remove one of them.
import-problem-misspelt = There is no column “{ $name }”. Is “{ $meant }” meant? Correct the first row and choose the list again.
import-problem-password = The column “{ $name }” cannot be imported: nobody chooses a password for somebody else. Remove it; people choose theirs by a link that is mailed to them.

import-preview-title = Check the list
import-preview-lead = This is what would happen. Nothing has changed yet.
import-changed-meanwhile = Accounts were changed meanwhile, so that something else would happen than what you were shown. Nothing was imported; please check again.
import-added = To be added
import-changed = To be changed
import-same = As they are
import-refused = Not imported
import-confirm-title = Import
import-kept-until = This list is kept until
import-links = { $count ->
    [one] Send a link to choose a password to { $count } person
   *[other] Send a link to choose a password to { $count } people
}
import-links-hint = To those who are added with a mail address. It can be done later too, on the page of each account.
import-confirm = { $count ->
    [one] Import { $count } account
   *[other] Import { $count } accounts
}
import-discard = Discard
import-nothing = No row of this list can be imported.
import-another = Choose another list
import-refused-title = Rows that are not imported
import-refused-list = Download these rows as CSV
import-line = Line
import-reason = Reason
import-rows-title = Rows that are imported
import-what = What happens
import-will-add = Added
import-will-change = Changed
import-rows-more = { $count ->
    [one] And { $count } more row.
   *[other] And { $count } more rows.
}
import-read-as = How the list was read
import-encoding = Encoding
import-encoding-utf8 = UTF-8
import-encoding-utf16 = UTF-16
import-encoding-shift-jis = Shift_JIS
import-separator = Separator
import-separator-comma = Comma
import-separator-semicolon = Semicolon
import-separator-tab = Tab
import-columns = Columns that were read
import-unread = Columns that were not read
import-existing = Accounts that exist already
import-existing-changed = are changed
import-existing-refused = are refused

import-fault-login-missing = There is no login in this row.
import-fault-login-rule = “{ $value }” is no login: 1 to 64 letters, digits or . _ - @ +
import-fault-name-rule = At most 128 characters, none of them a control character.
import-fault-email-rule = “{ $value }” is no mail address.
import-fault-group-rule = “{ $value }” is no name of a group: 1 to 64 letters, digits or . _ - : / @
import-fault-role-unknown = “{ $value }” is none of user, viewer, manager, admin.
import-fault-method-unknown = “{ $value }” is neither totp nor mail.
import-fault-switch-unknown = “{ $value }” is neither on nor off.
import-fault-line-break = There is a line break in this cell. Is a quotation mark missing?
import-fault-too-many-cells = There are more cells in this row than columns in the first one.
import-fault-repeated = The same login stands on line { $other } too.
import-fault-exists = There is an account with this login already.
import-fault-mail-without-address = Codes by mail need a mail address.
import-fault-mail-not-configured = This system sends no mail: choose totp.
import-fault-owner-switches-on = Only the owners of accounts switch their second factor on here.
import-fault-group-not-held = “{ $value }” is given and taken only by those who have it, and by administrators.
import-fault-login-named-by-route = The configuration lets this login pass where others do not: only administrators give it.
import-fault-forbidden = Your role does not reach as far.
import-fault-oneself = This cannot be changed for your own account here.
import-fault-last-admin = This is the last administrator who can log in.
import-fault-refused = This cannot be done.
import-fault-not-stored = It could not be saved. Please import this row again.

import-result-title = Result of the import
import-done-all = Everything was imported.
import-done-some = { $refused ->
    [one] { $refused } row was not imported.
   *[other] { $refused } rows were not imported.
}
import-links-queued = { $count ->
    [one] One link to choose a password is being sent.
   *[other] { $count } links to choose a password are being sent, one after another; this may take some minutes.
}
import-no-links = People without a password cannot log in yet. Send them a link from the page of their account.
import-were-added = Added
import-were-changed = Changed
import-were-refused = Not imported
import-were-refused-title = Rows that were not imported
import-to-users = To the accounts
import-running = The import has begun and is not over yet. Should it stay so, sekisho was restarted meanwhile: import the list once more; what is done already is shown there.
import-reload = Look again
