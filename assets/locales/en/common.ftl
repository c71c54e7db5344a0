# What all pages share

title-problem = Error:{" "}
languages = Language
guarded = Login protected by sekisho

# A length of time, as in "for 7 days", "wait 15 minutes".
span-days = { $count ->
    [one] { $count } day
   *[other] { $count } days
}
span-hours = { $count ->
    [one] { $count } hour
   *[other] { $count } hours
}
span-minutes = { $count ->
    [one] { $count } minute
   *[other] { $count } minutes
}
span-seconds = { $count ->
    [one] { $count } second
   *[other] { $count } seconds
}
