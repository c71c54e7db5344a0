# ログイン、ログアウト

login-title = ログイン
login-name = ログインID
login-password = パスワード
login-submit = ログイン

problem-credentials = ログインIDまたはパスワードが違うか、しばらくのあいだロックされています。
hint-credentials = 入力内容をご確認ください。何度か間違えた場合は、少し時間をおいてからお試しください。
problem-too-many = 試行回数が多すぎます。{ $span }お待ちいただいてから、もう一度お試しください。
problem-restart = ログインの有効期限が切れたか、途中で設定が変更されました。お手数ですが、最初からログインし直してください。
problem-locked = このアカウントは現在ロックされています。時間をおいて最初からログインし直すか、管理者にお問い合わせください。
problem-form-expired = ページの有効期限が切れました。もう一度操作してください。
hint-form-expired = 繰り返し表示される場合は、ブラウザーで Cookie が許可されているかご確認ください。
notice-signed-out = ログアウトしました。
notice-cancelled = 2段階認証の設定を中止しました。何も登録されていません。続けるには、もう一度ログインしてください。
notice-confirm = この先に進むには2段階認証の設定が必要です。ご本人の確認のため、もう一度ログインしてください。
notice-held = 入力された内容は保管しています。ログイン後に、送信するかどうかを確認します。

logout-title = ログアウト
logout-text = { $login } としてログインしています。ログアウトしますか？
logout-submit = ログアウト
logout-back = ログアウトせずに戻る

held-title = 入力した内容を送信しますか
held-text = 送信時にログインや認証コードの入力が必要だったため、内容を保管しています。まだ送信されていません。
held-as = アカウント
held-address = 送信先
held-fields = 入力欄
held-no-fields = なし
held-more = ほか{ $count }件
held-submit = 送信する
held-discard = 送信しない

landing-title = ログインしています
landing-home = { $title } へ進む
landing-administration = アカウント管理
