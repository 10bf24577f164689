"""Login by OpenID Connect, with allauth's provider. Imported only if OIDC_ISSUER is set."""
