# ログインの要求、拒否、障害

login-needed-heading = ログインが必要です
login-needed-text = まだログインしていないか、ログインの有効期限が切れています。
second-step-needed-heading = もう一度確認が必要です
second-step-needed-text = 続けるには、認証コードの入力が必要です。
login-needed-open = ログイン画面を開く
not-sent-heading = 入力された内容は送信されていません
not-sent-text = 入力した内容は、前の画面のフォームに残っています。下のボタンから新しい画面でログインした後、この画面に戻り、ブラウザーの「戻る」でフォームに戻って、もう一度送信してください。
not-sent-open = 新しい画面でログインする

message-home = 最初のページへ
message-reference = お問い合わせ番号
denied-logout = ログアウトして別のアカウントを使う

denied-route-heading = このページは利用できません
denied-route-text = このページへのアクセスは許可されていません。
denied-account-heading = このページを開く権限がありません
denied-account-text = 現在のアカウントには、このページを開く権限がありません。必要な場合は管理者にお問い合わせください。
denied-network-heading = このネットワークからは利用できません
denied-network-text = 現在のネットワークからのアクセスは許可されていません。社内ネットワークやVPNに接続してからお試しください。
denied-origin-heading = 接続が許可されていません
denied-origin-text = ほかのサイトからの接続のため、受け付けませんでした。

bad-request-heading = リクエストを処理できませんでした
bad-request-text = 送信された内容の形式が正しくありません。前のページに戻り、もう一度お試しください。
not-found-heading = ページが見つかりません
not-found-text = このアドレスにはページがありません。アドレスをご確認ください。
method-not-allowed-heading = この操作はできません
method-not-allowed-text = このページでは、その方法でのアクセスを受け付けていません。
too-large-heading = 送信された内容が大きすぎます
too-large-text = 受け付けられる大きさを超えています。内容を減らしてからお試しください。
wrong-type-heading = この形式では受け付けられません
wrong-type-text = ページのフォームから送信してください。
foreign-form-heading = 安全のため、送信を受け付けませんでした
foreign-form-text = ほかのサイトから送信された可能性があります。このサイトのページを開き直し、もう一度操作してください。
busy-heading = ただいま混み合っています
busy-text = ログインが集中しています。数秒待ってから、もう一度お試しください。
unavailable-heading = 一時的に利用できません
unavailable-text = 少し時間をおいてから、もう一度お試しください。
internal-heading = エラーが発生しました
internal-text = 処理中に問題が起きました。繰り返し発生する場合は、下の番号を添えて管理者にお知らせください。
upstream-unreachable-heading = 管理画面に接続できません
upstream-unreachable-text = 管理画面のサーバーが停止しているか、再起動中の可能性があります。少し時間をおいてから、もう一度お試しください。
upstream-timeout-heading = 管理画面から応答がありません
upstream-timeout-text = 管理画面のサーバーから時間内に応答がありませんでした。少し時間をおいてから、もう一度お試しください。
tool-refused-heading = 管理画面へのログインが拒否されました
tool-refused-text = こちらのログインは有効です。管理画面へは自動でログインしますが、管理画面に受け付けられませんでした。下の番号を添えて管理者にお知らせください。
sign-on-failed-heading = ログインを引き継げませんでした
sign-on-failed-text = このアドレスは、要求したブラウザーで1分以内に1回だけ使えます。ログインは行われていません。トップページからもう一度お試しください。繰り返し表示される場合は、ブラウザーで Cookie が許可されているかご確認ください。
tool-login-missing-heading = この管理画面のログイン情報が登録されていません
tool-login-missing-text = こちらのログインは有効です。管理画面には、登録されたログイン情報で自動的にログインします。アカウントの設定で登録するか、管理者に登録を依頼してください。
tool-signed-out-heading = 入力内容は管理画面に受け付けられませんでした
tool-signed-out-text = 管理画面側のログインが切れていました。二重送信を防ぐため、自動では送り直していません。ブラウザーの「戻る」で前の画面に戻り、もう一度送信してください。受け付けられない場合は、入力内容を控えてからフォームを開き直してください。
plain-http-heading = この接続ではログインできません
plain-http-text = 暗号化されていない接続（http）のため、パスワードが第三者に読み取られるおそれがあります。https:// で始まるアドレスから開いてください。
plain-http-operator = システムを管理している方へ
plain-http-operator-text = server.tls に証明書を設定するか、前段のプロキシで TLS を終端している場合は、そのアドレスを server.trusted_proxies に加え、X-Forwarded-Proto を送るようにしてください。
