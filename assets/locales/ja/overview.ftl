# 管理画面の概要

nav-overview = 概要

overview-title = 概要
overview-few-admins = { $count ->
    [0] ログインできる管理者がいません。
   *[one] ログインできる管理者が1人だけです。
}
overview-few-admins-hint = この管理者がログインできなくなると、この画面から対応できる人がいなくなります。2人目の管理者を登録してください。
overview-show-admins = 管理者を表示
overview-accounts = アカウント
overview-sessions = 現在のセッション
overview-locked = ロック中
overview-unused = 90日以上未使用
overview-disabled = 無効
overview-sign-ins = ログイン
overview-failures = ログイン失敗
overview-last-days = 過去{ $count }日間（UTC）：
overview-in-all = 合計 { $total }
overview-plot-desc = 1日ごとの棒グラフです。合計は{ $total }、最大は{ $day }の{ $highest }です。
overview-plot-empty = この期間の記録はありません。
overview-as-table = 表で見る
overview-day = 日付
overview-locked-title = ロック中のアカウント
overview-show-locked = すべて表示
overview-nobody-locked = ロック中のアカウントはありません。
overview-factor = 2段階認証
overview-factor-share = 設定済み { $percent }%（{ $whole }件中 { $part }件）
overview-without-factor = 未設定の{ $count }件を表示
