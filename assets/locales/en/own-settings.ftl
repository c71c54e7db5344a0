# One's own settings, page by page

confirm-title = Confirm that it is you
confirm-lead = Before you change how you log in, please enter your password once more.
confirm-back = Go back without changing anything
problem-confirm-password = That password is wrong, or too many wrong ones were entered. Check it and try again, or wait a little first.
