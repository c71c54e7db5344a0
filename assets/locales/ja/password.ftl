# 新しいパスワード

password-due-title = パスワードの変更
password-due-expired = 前回の変更から時間がたっています。続けるには、新しいパスワードを設定してください。
password-due-given = 管理者の設定により、パスワードの変更が必要です。続けるには、新しいパスワードを設定してください。
password-due-submit = 変更して進む

password-own-title = パスワードの変更
password-own-lead = 変更すると、この画面以外のすべての端末とブラウザーでは再度ログインが必要になります。
password-own-submit = パスワードを変更する
password-own-back = アカウントに戻る
password-current = 現在のパスワード
password-current-wrong = 現在のパスワードが違うか、しばらくのあいだロックされています。

new-password = 新しいパスワード
new-password-again = 新しいパスワード（確認用）
password-show = パスワードを表示する
password-hide = パスワードを隠す

password-rules = 次の条件を満たすものにしてください。
password-rule-met = （満たしています）
password-rule-length = { $count }文字以上、{ $most }文字以内
password-rule-classes = 英小文字、英大文字、数字、それ以外の文字（記号や日本語など）のうち{ $count }種類以上
password-rule-personal = ログインID、名前、メールアドレスを含まない
password-rule-leaked = 漏えいしたことのある、よく使われるパスワードではない（送信後に確認します）
password-rule-unchanged = 現在のパスワードと異なる（送信後に確認します）

new-password-missing = 新しいパスワードを入力してください。
new-password-differs = 確認用のパスワードが一致しません。同じものを2回入力してください。
new-password-too-short = パスワードが短すぎます。{ $count }文字以上にしてください。
new-password-too-long = パスワードが長すぎます。{ $count }文字以内にしてください。
new-password-too-few-classes = 文字の種類が足りません。英小文字、英大文字、数字、それ以外の文字のうち{ $count }種類以上を使ってください。
new-password-personal = ログインID、名前、メールアドレスを含むパスワードは使えません。
new-password-leaked = このパスワードは過去に漏えいしたことがあり、推測されやすいため使えません。末尾に数字や記号を足したものも使えません。
new-password-unchanged = 現在のパスワードと同じです。別のパスワードにしてください。

# パスワードを忘れたとき

forgot-link = パスワードをお忘れの方
forgot-title = パスワードの再設定
forgot-lead = ログインIDまたは登録済みのメールアドレスを入力してください。新しいパスワードを設定するためのリンクをメールでお送りします。
forgot-who = ログインIDまたはメールアドレス
forgot-submit = リンクを送信する
forgot-missing = ログインIDまたはメールアドレスを入力してください。
forgot-sent = 該当するアカウントがあれば、登録されているメールアドレスにご案内をお送りしました。メールをご確認ください。
forgot-not-there = 数分たっても届かないときは、迷惑メールのフォルダーをご確認のうえ、管理者にお問い合わせください。
forgot-back = ログイン画面へ
notice-password-reset = 新しいパスワードを設定しました。新しいパスワードでログインしてください。

reset-title = 新しいパスワードの設定
reset-lead = 設定すると、これまでにログインしたすべての端末で再度ログインが必要になります。
reset-lead-first = アカウントの最初のパスワードを設定してください。
reset-submit = パスワードを設定する
reset-code-hint = このアカウントは認証コードをメールで受け取っているため、メールとは別の確認としてリカバリーコードの入力が必要です。お持ちでない場合は、管理者にお問い合わせください。
reset-code-missing = リカバリーコードを入力してください。
reset-gone = このリンクは使えません。すでに使われたか、有効期限が切れたか、より新しいリンクが送られています。
reset-again = 新しいリンクを送信する
