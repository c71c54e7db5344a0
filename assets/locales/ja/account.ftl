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
form-gone-heading = 送信できる内容はありません
form-gone-text = すでに送信されたか、保管期間が過ぎています。もう一度入力する前に、内容が反映されていないか管理画面でご確認ください。
