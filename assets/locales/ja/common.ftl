# すべてのページに共通する文言

title-problem = エラー：
languages = 表示言語
guarded = このログイン画面は sekisho が提供しています

# 期間。「7日間省略する」「15分間お待ちいただいてから」のように使います。
span-days = { $count }日間
span-hours = { $count }時間
span-minutes = { $count }分間
span-seconds = { $count }秒間
