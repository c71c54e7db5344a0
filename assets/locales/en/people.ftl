# Other people's accounts

rejection-login-taken = There is already an account with this login.
rejection-no-such-user = This account does not exist any more.
rejection-mail-without-address = Codes by mail need a mail address. Enter one, or choose the authenticator app.
rejection-weak-password = The password is too weak.
rejection-last-admin = This is the last administrator who can sign in. Make another one first.
rejection-mail-not-configured = This system cannot send mail yet. Choose the authenticator app.
rejection-no-address = This account has no mail address.
rejection-disabled = This account is disabled.
rejection-too-many-mails = Too many mails were sent to this account. Please wait a while.
rejection-owner-switches-on = Only the owner of an account can switch its second step on.
rejection-forbidden = Your role does not allow this.
rejection-oneself = You cannot do this to your own account here. Use “Your account”, or ask another administrator.
rejection-group-not-held = You can only give and take away groups that you have yourself.
rejection-login-named-by-route = The configuration gives this login special access. Only an administrator can use it.
rejection-changed-meanwhile = Somebody else has changed this account in the meantime. Nothing was saved: check the present values and try again.
rejection-not-yet = This is not available in this version.
