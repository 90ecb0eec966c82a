"""Secrets of all kinds that must not leave a function, each in the words that it is found in."""

# Made up, or from the issuers' own documentation; put together here, so that no scanner takes this file for a leak.
AWS_SECRET = "wJalrXUtnFEMI" + "/K7MDENG/bPxRfiCYEXAMPLEKEY"
JWT = (
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9"
    + ".eyJzdWIiOiIxMjM0NTY3ODkwIn0"
    + ".dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
)
CORPUS = {  # name: (text around it with {}, the secret)
    "access key id": ("The key {} is not valid", "AKIA" + "IOSFODNN7EXAMPLE"),
    "temporary key id": ("InvalidClientTokenId: {}", "ASIA" + "IOSFODNN7EXAMPLE"),
    "secret key": ("aws_secret_access_key = {}", AWS_SECRET),
    "bare secret key": ("aws configure: '{}'", AWS_SECRET),
    "jwt": ("cannot verify {}: expired", JWT),
    "bearer": ("401 for Authorization: Bearer {}", "mF_9.B5f-4.1JqM"),
    "basic": ("headers={{'Authorization': 'Basic {}'}}", "QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
    "password in a url": ("could not connect to postgresql://app:{}@db.internal:5432/shop", "s3cr/3t@p#w"),
    "user in a url": ("clone of https://{}@git.internal/x failed", "oauth2-abcdefghij"),
    "query of requests": ("Max retries exceeded with url: /v1/pay?key={} (Caused by X)", "q-77-hunter2"),
    "signed url": ("GET https://b.s3.amazonaws.com/k?X-Amz-Signature={}&x=1", "fe5f80f77d5fa3beca038a248ff027"),
    "password": ("login failed for bob, password={}", "hunter2"),
    "quoted password": ('{{"user": "bob", "password": "{}"}}', "hunter 2, and more"),
    "escaped json": ('body was "{{\\"client_secret\\": \\"{}\\"}}"', "hunter2"),
    "python dict": ("KeyError in {{'api_key': '{}', 'b': 1}}", "hunter2"),
    "element of xml": ('<s:Login><s:Password s:Type="text">{}</s:Password></s:Login>', "hunter2, and more"),
    "cdata": ("<user>bob</user><apiKey><![CDATA[{}]]></apiKey>", "hunter2"),
    "cookie": ("Set-Cookie: {}", "sessionid=38afes7a8"),
    "card": ("declined: {}", "4111 1111 1111 1111"),
    "card without spaces": ("declined: {} (visa)", "4012888888881881"),
    "e-mail": ("no customer {} here", "ann.smith+shop@example.co.uk"),
    "github": ("remote: {} was revoked", "ghp_" + "16C7e42F292c6912E7710c838347Ae178B4a"),
    "stripe": ("No such charge for {}", "sk_live_" + "4eC39HqLyjWDarjtT1zdp7dc"),
    "slack": ("token {} revoked", "xoxb-" + "17653672481-19874698323-pdFZKVeTuE8sk7oOHcbrzqgy"),
    "slack hook": ("POST https://hooks.slack.com/{} 404", "services/T00000000/B00000000/XXXXXXXXXXXX"),
    "google": ("API key {} expired", "AIza" + "SyDaGmWKa4JsXZ-HjGw7ISLn_3namBGewQe"),
    "azure": ("AccountName=a;AccountKey={};EndpointSuffix=x", "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsu=="),
    "private key": (
        "bad key:\n-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----\nabc",
        "MIIEowIBAAKCAQEAr7",
    ),
    "cut private key": ("bad key: -----BEGIN PRIVATE KEY-----\n{}", "MIIEowIBAAKCAQEAr7"),
}


class Hostile(str):
    """A str that cannot be looked at."""

    __slots__ = ()

    def lower(self) -> str:
        """Fail."""
        raise RuntimeError
