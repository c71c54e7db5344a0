# アカウントの一覧

nav-users = アカウント管理

users-title = アカウント管理
users-add = アカウントを追加
users-export = CSVで書き出す
users-search = ユーザーID・ログインID・名前・メールアドレス
users-search-submit = 検索
users-clear = 条件をクリア
users-more = 詳しい条件
users-any = すべて
users-group = グループ
users-method = 認証方法
users-enrolled = 設定状況
users-last-login-from = 最終ログイン：開始日（UTC）
users-last-login-to = 最終ログイン：終了日（UTC）
users-total = 全{ $total }件中 { $first }～{ $last }件を表示しています。
users-policy-required = 現在の設定では、アカウントごとのオン・オフにかかわらず、全員に2段階認証が必要です。
users-policy-off = 現在の設定では、アカウントごとのオン・オフにかかわらず、2段階認証は行われません。
users-none = アカウントはまだ登録されていません。
users-none-found = 条件に一致するアカウントはありません。
users-pages = ページの移動
users-page = { $pages }ページ中 { $page }ページ目
users-page-first = 最初
users-page-previous = 前へ
users-page-next = 次へ
users-page-last = 最後

users-column-id = ユーザーID
users-column-login = ログインID
users-column-name = 名前
users-column-email = メールアドレス
users-column-role = 権限
users-column-groups = グループ
users-column-second-factor = 2段階認証
users-column-last-login = 最終ログイン
users-column-registered = 登録日時
users-column-state = 状態

users-role-user = 利用者
users-role-viewer = 閲覧者
users-role-manager = 担当者
users-role-admin = 管理者
users-switch-on = オン
users-switch-off = オフ
users-method-totp = アプリ
users-method-mail = メール
users-enrolled-yes = 設定済み
users-enrolled-no = 未設定
users-last-login-never = 履歴なし
users-last-login-unused = 90日以上なし
users-state-active = 有効
users-state-locked = ロック中
users-state-disabled = 無効
users-locked-until = { $moment } まで
users-locked-until-unlocked = 解除されるまで
