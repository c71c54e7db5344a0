# 2段階認証

second-factor-title = 認証コードの入力
second-factor-lead = 認証アプリを開き、表示されているコードを入力してください。
second-factor-again = 安全のため、もう一度ご本人の確認をお願いします。認証アプリに表示されているコードを入力してください。
second-factor-as = ログインID
second-factor-submit = 確認して進む
second-factor-restart = 最初からやり直す・別のアカウントを使う

code-label = 認証コード
code-hint = { $digits }桁の数字
remember = この端末では、コードの入力を{ $span }省略する
remember-hint = ほかの人も使う端末では選ばないでください。

problem-wrong-code = コードが違います。アプリに表示されている最新のコードを入力してください。
problem-used-code = このコードはすでに使われました。アプリに次のコードが表示されてから入力してください。
problem-code-missing = コードを入力してください。
hint-clock = スマートフォンの時計がずれていると、コードが一致しません。日付と時刻を自動設定にしてからお試しください。

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
