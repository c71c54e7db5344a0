# What is sent by mail

mail-automatic = This mail was sent automatically. Please do not reply to it.

mail-code-subject = Your login code
mail-code-lead = Someone is signing in as { $login } with the right password. Enter this code on the login page:
mail-code-lifetime =
    { $unit ->
        [hours] It is valid for { $amount } { $amount ->
            [one] hour
           *[other] hours
        }, once, and in the browser that asked for it.
        [minutes] It is valid for { $amount } { $amount ->
            [one] minute
           *[other] minutes
        }, once, and in the browser that asked for it.
       *[seconds] It is valid for { $amount } { $amount ->
            [one] second
           *[other] seconds
        }, once, and in the browser that asked for it.
    }
mail-code-not-you = If this was not you, give the code to nobody and change your password.

mail-address-subject = Code to confirm a mail address
mail-address-old-lead = The mail address of the account { $login } is to be changed to { $to }. To allow this, enter this code on the page:
mail-address-old-not-you = If this was not you, give the code to nobody, change your password at once and tell your administrator.
mail-address-new-lead = This address is to be the mail address of the account { $login }. Enter this code on the page:
mail-address-new-not-you = If you know nothing about it, somebody has mistyped their address: you need not do anything.

mail-app-added-subject = An authenticator app was set up
mail-app-added-text = An authenticator app was set up for the account { $login }.
mail-factor-removed-subject = Two-step login was reset or changed
mail-factor-removed-text = The second step of the account { $login } was removed. Its devices have to sign in again.
mail-switched-on-subject = Two-step login was switched on
mail-switched-on-text = From now on the account { $login } is asked for a code by mail when it logs in.
mail-codes-renewed-subject = New recovery codes were made
mail-codes-renewed-text = New recovery codes were made for the account { $login }. The earlier ones no longer work.
mail-new-device-subject = A new device has signed in
mail-new-device-text = A browser that was not known before has signed in as { $login }.
mail-address-changed-subject = Your mail address was changed
mail-address-changed-text = The account { $login } has another mail address from now on, or none. This is the last mail to this one.
mail-link-needs-manager-subject = About your password
mail-link-needs-manager-text = Someone asked for a link to a new password for the account { $login }. For this account only a link from an administrator is good. Please ask one.
mail-link-subject = Choose a password
mail-link-asked = Someone asked for a new password for the account { $login }.
mail-link-sent = An administrator asks you to choose a new password for the account { $login }.
mail-link-first = The account { $login } was made for you. An administrator asks you to choose its first password.
mail-link-open = Open this link to choose one:
mail-link-lifetime =
    { $unit ->
        [hours] It is valid for { $amount } { $amount ->
            [one] hour
           *[other] hours
        }, once, and only until a newer one is sent.
        [minutes] It is valid for { $amount } { $amount ->
            [one] minute
           *[other] minutes
        }, once, and only until a newer one is sent.
       *[seconds] It is valid for { $amount } { $amount ->
            [one] second
           *[other] seconds
        }, once, and only until a newer one is sent.
    }
mail-link-not-you = If you do not know why you got it, do not open the link and delete this mail. The password stays as it is.
mail-password-changed-subject = Your password was changed
mail-password-changed-text = The password of the account { $login } was changed. Other devices have to sign in again.
mail-notice-at = When: { $at }
mail-notice-address = From the address: { $address }
mail-notice-not-you = If this was not you, tell your administrator at once and change your password.
