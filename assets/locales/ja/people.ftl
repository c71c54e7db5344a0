# ほかの人のアカウント

rejection-login-taken = このログインIDはすでに使われています。
rejection-no-such-user = このアカウントはすでに存在しません。
rejection-mail-without-address = メールで認証コードを受け取るには、メールアドレスが必要です。アドレスを入力するか、認証アプリを選択してください。
rejection-weak-password = パスワードが簡単すぎます。
rejection-last-admin = ログインできる最後の管理者です。先に別の管理者を登録してください。
rejection-mail-not-configured = このシステムではメール送信が設定されていません。認証アプリを選択してください。
rejection-no-address = このアカウントにはメールアドレスが登録されていません。
rejection-disabled = このアカウントは無効になっています。
rejection-too-many-mails = このアカウントへのメールが多すぎます。しばらくしてからお試しください。
rejection-owner-switches-on = 2段階認証を有効にできるのは、アカウントの本人だけです。
rejection-forbidden = この操作を行う権限がありません。
rejection-oneself = 自分のアカウントには、この画面からは行えません。「アカウント」画面を使うか、別の管理者に依頼してください。
rejection-group-not-held = 付け外しできるのは、自分が所属しているグループだけです。
rejection-login-named-by-route = このログインIDには、設定ファイルで特別なアクセスが許可されています。使えるのは管理者だけです。
rejection-changed-meanwhile = ほかの人がこのアカウントを変更したため、保存されませんでした。現在の内容を確認して、もう一度操作してください。
rejection-not-yet = このバージョンではまだ利用できません。
