"""Who is there: Telegram login, access tokens, accounts and their logins."""
