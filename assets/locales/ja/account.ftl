# 本人の設定と、その上のバー

nav-rooms = メニュー
nav-skip = 本文へ移動
nav-who = ログイン中：
nav-home = ツールに戻る
nav-account = マイアカウント

account-title = マイアカウント
account-profile = プロフィール
account-login = ログインID
account-name = 名前
account-email = メールアドレス

form-expired-heading = フォームの有効期限が切れました
form-expired-text = 変更は行われていません。ページを開き直して、もう一度操作してください。
