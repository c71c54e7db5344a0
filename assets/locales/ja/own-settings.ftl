# 本人の設定の各ページ

confirm-title = ご本人の確認
confirm-lead = ログイン方法の設定を変更する前に、もう一度パスワードを入力してください。
confirm-back = 変更せずに戻る
problem-confirm-password = パスワードが違うか、間違えた回数が多いため一時的に受け付けていません。入力内容をご確認のうえ、何度か間違えた場合は少し時間をおいてからお試しください。

account-none = 未登録
account-by-managers = ログインIDや名前に誤りがある場合は、管理者にお問い合わせください。
account-security = ログイン方法
account-access = ログインと端末
account-password-changed = 最終変更：
account-change = 変更
account-open = 設定
account-second-factor = 2段階認証
own-count = { $count }件
own-first-seen = 初回：
own-last-seen = 最終：
own-this-browser = このブラウザー
own-unknown-browser = 不明なブラウザー

factor-by-app = 認証アプリ
factor-by-mail = メールで届くコード
factor-none = 2段階認証は設定されていません
factor-none-note = パスワードを知られると、第三者にログインされるおそれがあります。
factor-on = 有効
factor-off = 無効
factor-enrolled = 設定日時：
factor-switch-on = メールのコードを有効にする
factor-switch-on-hint = ログイン時に、メールアドレスに届く認証コードの入力が必要になります。
factor-set-up-app = 認証アプリを設定する
factor-set-up-app-hint = ログイン時に、パスワードに加えてスマートフォンのアプリに表示されるコードを入力します。リカバリーコードも発行されます。ほかの場所でのログインはログアウトされます。
factor-change-app = 認証アプリを変更する
factor-change-app-hint = スマートフォンの機種変更や、別のアプリへの切り替えに使います。新しいアプリの設定が完了するまで、今のアプリを使えます。完了すると、今のアプリとリカバリーコードは使えなくなり、ほかの場所でのログインはログアウトされます。
factor-give-up = 2段階認証を解除する
factor-give-up-hint = パスワードだけでログインするようになります。リカバリーコードは使えなくなり、ほかの場所でのログインはログアウトされます。
factor-required-note = ここでは2段階認証が必須のため、変更はできますが解除はできません。
done-factor-removed = 2段階認証を解除しました。
done-factor-on = メールのコードを有効にしました。
done-confirmed = ご本人の確認が完了しました。操作を続けてください。
done-password = パスワードを変更しました。
problem-factor-required = ここでは2段階認証が必須のため、解除できません。
problem-factor-not-in-use = ここでは2段階認証は使われていません。
problem-no-factor = 2段階認証が設定されていません。

own-codes-left = 残り{ $count }個
own-codes-note = 認証アプリやメールが使えないときのためのコード
own-codes-unsaved = リカバリーコードの保存がまだ完了していません。
own-codes-made = 発行日時：
own-codes-none = リカバリーコードはありません。
own-codes-lead = スマートフォンやメールが使えないときに、リカバリーコードでログインできます。各コードは1回だけ使えます。
own-codes-renew = リカバリーコードを再発行する
own-codes-renew-hint = 表示されるのは1回だけです。以前のコードはすべて、すぐに使えなくなります。
recovery-codes-anew = 新しいリカバリーコードです。以前のコードは使えなくなりました。表示されるのは今回だけです。

devices-title = 端末
devices-note = 2段階認証を済ませたブラウザー
devices-lead = 2段階認証を済ませたブラウザーの一覧です。心当たりのないものや使わなくなったものは削除してください。次回のログインで認証コードの入力が必要になり、そこで始まったログインはログアウトされます。
devices-remembered = コード省略中
devices-none = 登録されている端末はありません。
devices-forget = 削除
devices-forget-all = すべての端末を削除する
devices-forget-all-hint = このブラウザーを含むすべてのブラウザーで、次回のログインに認証コードが必要になります。現在のログインはそのまま続けられます。
done-device-forgotten = 端末を削除しました。
done-devices-forgotten = すべての端末を削除しました。
problem-device-gone = この端末はすでに削除されています。

sessions-title = ログイン中の場所
sessions-note = 現在ログインしているブラウザー
sessions-lead = 次の場所でログインしています。心当たりのないものはログアウトし、パスワードを変更してください。
sessions-begun = ログイン：
sessions-this = 現在のログイン
sessions-end-others = ほかをすべてログアウトする
sessions-end-others-hint = このブラウザーのログインはそのまま続けられます。
done-session-ended = ログアウトしました。
done-sessions-ended = ほかの場所をすべてログアウトしました。
problem-session-gone = このログインはすでに終了しています。

landing-account = アカウントの設定
