# 2段階認証

second-factor-title = 認証コードの入力
second-factor-lead = 認証アプリを開き、表示されているコードを入力してください。
second-factor-again = 安全のため、もう一度ご本人の確認をお願いします。認証アプリに表示されているコードを入力してください。
second-factor-as = ログインID
second-factor-submit = 確認して進む
second-factor-another-way = 別の方法を試す
second-factor-no-other-way = うまくいかないときは、管理者にお問い合わせください。
second-factor-restart = 最初からやり直す・別のアカウントを使う

code-label = 認証コード
code-hint = { $digits }桁の数字
remember = この端末では、コードの入力を{ $span }省略する
remember-hint = ほかの人も使う端末では選ばないでください。

problem-wrong-code = コードが違います。アプリに表示されている最新のコードを入力してください。
problem-used-code = このコードはすでに使われました。アプリに次のコードが表示されてから入力してください。
problem-code-missing = コードを入力してください。
hint-clock = スマートフォンの時計がずれていると、コードが一致しません。日付と時刻を自動設定にしてからお試しください。

# メールで送るコード

mailed-lead = メールでお送りしたコードを入力してください。
mailed-again = 安全のため、もう一度ご本人の確認をお願いします。
mailed-held-back = 少し前に、別のログインのために { $address } へコードをお送りしています。そのコードはこの画面では使えません。このログイン用のコードを送信してください。
mailed-send = コードを送信する
mailed-send-wait = あと{ $span }お待ちいただくと送信できます。
mailed-on-its-way = { $address } に認証コードをお送りしています。
mailed-sent = { $address } に認証コードをお送りしました。
mailed-failed = { $address } 宛てのメールを送信できませんでした。再送信するか、管理者にお問い合わせください。
mailed-hint = { $digits }桁の数字（送信から{ $span }有効）
mailed-resend = コードを再送信する
mailed-resend-wait = あと{ $span }お待ちいただくと再送信できます。
mailed-resend-hint = 使えるのは最新のコードだけです。届かないときは、迷惑メールのフォルダーもご確認ください。

problem-wrong-mailed-code = コードが違います。最新のメールに記載されたコードを入力してください。
problem-used-mailed-code = このコードはすでに使われました。コードを再送信してください。
problem-no-code-yet = このログイン用のコードはまだ送信されていません。別のログインのコードは使えません。コードを送信してください。
problem-expired-code = コードの有効期限が切れました。コードを再送信してください。
problem-too-many-tries = コードを間違えた回数が多すぎるため、このコードは使えなくなりました。コードを再送信してください。
problem-resend-wait = 続けて送信することはできません。{ $span }お待ちいただいてから、もう一度お試しください。
notice-resent = 新しいコードをお送りしています。前のコードは使えなくなりました。

# リカバリーコード

recovery-title = リカバリーコードの入力
recovery-lead = 2段階認証の設定時に保存したリカバリーコードを1つ入力してください。各コードは1回だけ使えます。
recovery-label = リカバリーコード
recovery-back = 戻る
recovery-none-left = リカバリーコードがない場合は、管理者に2段階認証の再設定をご依頼ください。
problem-wrong-recovery-code = リカバリーコードが違うか、すでに使用されています。

recovery-codes-title = リカバリーコードの保存
recovery-codes-lead = 認証アプリの設定が完了しました。アプリが使えなくなったときは、代わりに次のコードでログインできます。表示されるのは今回だけです。
recovery-codes-heading = リカバリーコード
recovery-codes-each-once = 各コードは1回だけ使えます。
recovery-codes-download = テキストファイルをダウンロード
recovery-codes-keep = 印刷するか、パスワード管理ツールなど、スマートフォン以外の安全な場所にも保管してください。
recovery-codes-saved = 保存しました

recovery-file-account = アカウント名
recovery-file-issuer = 発行元
recovery-file-date = 作成日
recovery-file-used = 使用したコードには印を付けてください。

welcome-title = ご確認ください
welcome-codes-left = { $count ->
    [0] リカバリーコードは残っていません。
   *[other] リカバリーコードは残り{ $count }個です。
}
welcome-codes-unsaved = リカバリーコードの保存がまだ確認されていません。お手元にない場合は、新しいコードを発行してください。発行すると、以前のコードは使えなくなります。
welcome-codes-new = 新しいリカバリーコードを発行する
welcome-by-recovery-code = リカバリーコードでログインしました。使用したコードはもう使えません。
welcome-again-text = 認証アプリが使えなくなった場合や、スマートフォンを機種変更した場合は、今すぐアプリを設定し直してください。新しいリカバリーコードも発行され、以前のアプリとコードは使えなくなります。
welcome-again = アプリを設定し直す
welcome-later = 今は設定せずに進む
welcome-go-on = 進む

enrol-title = 2段階認証の設定
enrol-lead = これからは、パスワードに加えて認証アプリのコードでログインします。下のキーが表示されるのは今回だけです。
enrol-app = 認証アプリを用意します
enrol-app-text = Google Authenticator、Microsoft Authenticator、1Password など、ワンタイムコード（TOTP）に対応したアプリをお使いください。
enrol-scan = アプリで QR コードを読み取ります
enrol-qr = 認証アプリ用の QR コード
enrol-open-app = 認証アプリを開く
enrol-by-hand = 読み取れないときは、次の内容をアプリに入力してください。
enrol-account = アカウント名
enrol-issuer = 発行元
enrol-key = キー
enrol-confirm = アプリに表示されたコードを入力します
enrol-submit = 設定を完了する
enrol-cancel = 設定を中止してログイン画面に戻る
enrol-later = 今は設定せずに進む
