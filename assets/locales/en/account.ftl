# One's own settings, and the bar above them

nav-rooms = Menu
nav-skip = Skip to the content
nav-who = Logged in as
nav-home = Back to the tool
nav-account = Your account

account-title = Your account
account-profile = Profile
account-login = Login
account-name = Name
account-email = Mail address

form-expired-heading = This form has expired
form-expired-text = Nothing was changed. Open the page again, and repeat what you did.
form-gone-heading = There is nothing here to be sent
form-gone-text = The form was sent already, or was kept for too long. Look in the tool whether it has arrived before you enter it again.
