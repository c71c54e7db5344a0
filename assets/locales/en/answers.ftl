# Log in first, not for you, something went wrong

login-needed-heading = Please log in
login-needed-text = You are not logged in, or your session has ended.
second-step-needed-heading = Please confirm that it is you
second-step-needed-text = To go on, another code is needed.
login-needed-open = Open the login page
not-sent-heading = What you entered was not sent
not-sent-text = It is still in the form. Log in with the button below, which opens a new window. Then come back here, use your browser’s Back button to return to the form, and send it again.
not-sent-open = Log in in a new window

message-home = Go to the first page
message-reference = Reference
denied-logout = Log out and use another account

denied-route-heading = This page is not available
denied-route-text = Access to this page is not allowed.
denied-account-heading = You may not open this page
denied-account-text = Your account has no right to this page. If you need it, ask your administrator.
denied-network-heading = Not from this network
denied-network-text = Access from your network is not allowed. Connect to your company’s network or VPN, then try again.
denied-origin-heading = Connection refused
denied-origin-text = It was begun by a page of another site.

bad-request-heading = This request cannot be handled
bad-request-text = What was sent is not well-formed. Go back and try again.
not-found-heading = Page not found
not-found-text = There is no page at this address. Check it for typing errors.
method-not-allowed-heading = This cannot be done here
method-not-allowed-text = The page does not take this kind of request.
too-large-heading = Too much was sent
too-large-text = It is more than can be taken. Make it smaller and try again.
wrong-type-heading = This form of data is not taken
wrong-type-text = Please use the form on the page.
foreign-form-heading = Refused for your safety
foreign-form-text = This form may have been sent by another site. Open the page here again, and repeat what you did.
busy-heading = Very busy just now
busy-text = Many people are logging in at once. Wait a few seconds, then try again.
unavailable-heading = Not available for the moment
unavailable-text = Please wait a little, then try again.
internal-heading = Something went wrong
internal-text = This could not be done. If it happens again, tell your administrator the reference below.
upstream-unreachable-heading = The admin tool cannot be reached
upstream-unreachable-text = Its server may be down or restarting. Wait a little, then try again.
upstream-timeout-heading = The admin tool does not answer
upstream-timeout-text = Its server took too long. Wait a little, then try again.
tool-refused-heading = The admin tool did not take the login
tool-refused-text = You are signed in here. This system signs in to the tool for you, and the tool refused that. Tell your administrator the reference below.
sign-on-failed-heading = The login did not get here
sign-on-failed-text = This address is good once, for one minute, and in the browser that asked for it. Go to the start page to try again; nobody was logged in. If you keep seeing this, check that your browser accepts cookies.
tool-login-missing-heading = Your login for this admin tool is missing
tool-login-missing-text = You are signed in here. This system signs in to the tool for you, with your name and password there. Store them under your account, or ask your administrator to.
tool-signed-out-heading = The tool did not take your input
tool-signed-out-text = Its own session had just ended. Nothing was sent a second time. Go back with your browser and send it again; if the tool refuses it, copy your input, and open the form anew.
plain-http-heading = No login over this connection
plain-http-text = This connection (http) is not encrypted: others could read your password. Use the address that begins with https://.
plain-http-operator = For whoever runs this system
plain-http-operator-text = Set up certificates in server.tls. Where a proxy in front ends TLS, add its address to server.trusted_proxies and let it send X-Forwarded-Proto.
