# メールの文面

mail-automatic = このメールは自動的に送信されています。返信はできません。

mail-code-subject = ログイン用の認証コード
mail-code-lead = ログインID { $login } で正しいパスワードが入力されました。次の認証コードをログイン画面に入力してください。
mail-code-lifetime =
    { $unit ->
        [hours] 有効期間は{ $amount }時間です。コードを要求したブラウザーで、1回だけ使えます。
        [minutes] 有効期間は{ $amount }分です。コードを要求したブラウザーで、1回だけ使えます。
       *[seconds] 有効期間は{ $amount }秒です。コードを要求したブラウザーで、1回だけ使えます。
    }
mail-code-not-you = お心当たりがない場合は、コードを誰にも教えず、パスワードを変更してください。

mail-address-subject = メールアドレス確認用の認証コード
mail-address-old-lead = ログインID { $login } のメールアドレスを { $to } に変更する手続きが行われています。変更を許可する場合は、次の認証コードを画面に入力してください。
mail-address-old-not-you = お心当たりがない場合は、コードを誰にも教えず、すぐにパスワードを変更して管理者に連絡してください。
mail-address-new-lead = このアドレスをログインID { $login } のメールアドレスとして登録する手続きが行われています。次の認証コードを画面に入力してください。
mail-address-new-not-you = お心当たりがない場合は、アドレスの入力間違いと思われます。このメールは破棄してください。

mail-app-added-subject = 認証アプリが設定されました
mail-app-added-text = ログインID { $login } に認証アプリが設定されました。
mail-factor-removed-subject = 2段階認証がリセットまたは変更されました
mail-factor-removed-text = ログインID { $login } の2段階認証の設定が解除されました。お使いの端末では再度ログインが必要です。
mail-switched-on-subject = 2段階認証が有効になりました
mail-switched-on-text = 今後、ログインID { $login } でのログイン時に、メールで届く認証コードの入力が必要になります。
mail-codes-renewed-subject = リカバリーコードが再発行されました
mail-codes-renewed-text = ログインID { $login } のリカバリーコードが新しく発行されました。以前のコードは使えません。
mail-new-device-subject = 新しい端末からログインがありました
mail-new-device-text = これまで使われていなかったブラウザーから、ログインID { $login } でログインがありました。
mail-address-changed-subject = メールアドレスが変更されました
mail-address-changed-text = ログインID { $login } のメールアドレスが変更または削除されました。このアドレスへのお知らせは、これが最後です。
mail-link-needs-manager-subject = パスワードの再設定について
mail-link-needs-manager-text = ログインID { $login } のパスワードの再設定が申し込まれましたが、このアカウントでは、管理者から届くリンクでのみ再設定できます。お手数ですが、管理者にご連絡ください。
mail-link-subject = パスワードの設定
mail-link-asked = ログインID { $login } のパスワードの再設定が申し込まれました。
mail-link-sent = 管理者から、ログインID { $login } のパスワードの再設定をお願いするご案内です。
mail-link-first = ログインID { $login } のアカウントが用意されました。管理者から、最初のパスワードの設定をお願いするご案内です。
mail-link-open = 次のリンクを開き、新しいパスワードを設定してください。
mail-link-lifetime =
    { $unit ->
        [hours] リンクの有効期間は{ $amount }時間で、1回だけ使えます。新しいリンクが届いた場合、古いリンクは使えません。
        [minutes] リンクの有効期間は{ $amount }分で、1回だけ使えます。新しいリンクが届いた場合、古いリンクは使えません。
       *[seconds] リンクの有効期間は{ $amount }秒で、1回だけ使えます。新しいリンクが届いた場合、古いリンクは使えません。
    }
mail-link-not-you = お心当たりがない場合は、リンクを開かず、このメールを破棄してください。パスワードは変わりません。
mail-password-changed-subject = パスワードが変更されました
mail-password-changed-text = ログインID { $login } のパスワードが変更されました。ほかの端末では再度ログインが必要です。
mail-notice-at = 日時: { $at }
mail-notice-address = 接続元アドレス: { $address }
mail-notice-not-you = お心当たりがない場合は、すぐに管理者へ連絡し、パスワードを変更してください。
