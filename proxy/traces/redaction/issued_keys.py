"""The formats of keys by whose beginning one knows their issuer, as the issuers publish them."""

from __future__ import annotations

# What a key begins with, and the whole of it, which begins with a word of 20 letters, digits, `-` and `_`.
ISSUED: tuple[tuple[str, str], ...] = (
    # Models and what serves them.
    ("gsk_", r"gsk_[A-Za-z0-9]{40,}"),  # Groq
    ("xai-", r"xai-[A-Za-z0-9_-]{40,}"),
    ("pplx-", r"pplx-[A-Za-z0-9]{40,}"),
    ("r8_", r"r8_[A-Za-z0-9]{30,}"),  # Replicate
    ("fw_", r"fw_(?=[A-Za-z]*\d)[A-Za-z0-9]{20,}"),  # Fireworks
    ("nvapi-", r"nvapi-[\w-]{40,}"),
    ("tvly-", r"tvly-[\w-]{20,}"),
    ("csk-", r"csk-[a-z0-9]{40,}"),  # Cerebras
    ("jina_", r"jina_[A-Za-z0-9]{40,}"),
    ("lsv2_", r"lsv2_(?:pt|sk)_[0-9a-f]{20,}\w*"),  # LangSmith
    ("pcsk_", r"pcsk_\w{40,}"),  # Pinecone
    # Code, packages and builds.
    (
        "glptt- gldt- glrt- glft- glsoat- glagent- glcbt- gloas- glimt- glffct-",
        r"gl(?:ptt|dt|rt|ft|soat|agent|cbt|oas|imt|ffct)-[\w-]{16,}",  # GitLab; glpat- is known already
    ),
    ("dckr_", r"dckr_(?:pat|oat)_[\w-]{20,}"),
    ("rubygems_", r"rubygems_[0-9a-f]{40,}"),
    ("bkua_", r"bkua_[0-9a-f]{30,}"),
    ("sntrys_ sntryu_", r"sntry[su]_[A-Za-z0-9_+/=-]{40,}"),
    ("ATATT3 ATCTT3", r"AT[AC]TT3[\w=-]{40,}"),  # Atlassian
    ("lin_", r"lin_(?:api|oauth)_[A-Za-z0-9]{30,}"),
    ("ntn_ secret_", r"ntn_[A-Za-z0-9]{40,}|secret_(?=[A-Za-z]*\d)[A-Za-z0-9]{43}(?!\w)"),  # Notion
    ("figd_", r"figd_[\w-]{30,}"),
    ("PMAK-", r"PMAK-[0-9a-f]{24}-[0-9a-f]{30,}"),
    # Clouds, databases and what watches them.
    ("doo_v1_ dop_v1_ dor_v1_ dot_v1_", r"do[oprt]_v1_[0-9a-f]{60,}"),  # DigitalOcean
    ("dapi", r"dapi[0-9a-f]{32}(?:-\d)?(?![0-9A-Za-z])"),  # Databricks
    ("sbp_ sb_secret_", r"sbp_[0-9a-f]{40}|sb_secret_[\w-]{20,}"),
    ("AGE-SECRET-KEY-", r"AGE-SECRET-KEY-1[0-9A-Z]{40,}"),
    ("tskey-", r"tskey-[a-z]+-\w+-\w{20,}"),
    ("pscale_", r"pscale_(?:pw|tkn|oauth)_[\w.=-]{30,}(?<!\.)"),
    ("HRKU-", r"HRKU-[\w-]{36,}"),
    ("GOCSPX-", r"GOCSPX-[\w-]{24,}"),  # Google's OAuth
    ("LTAI", r"LTAI[A-Za-z0-9]{16,24}(?![A-Za-z0-9])"),  # Alibaba
    ("ops_eyJ", r"ops_eyJ[\w-]{100,}"),  # 1Password
    ("glsa_ glc_eyJ", r"glsa_[A-Za-z0-9]{32}_[0-9a-f]{8}|glc_eyJ[\w+/=-]{40,}"),  # Grafana
    ("NRAK-", r"NRAK-[A-Z0-9]{20,}"),
    ("phx_", r"phx_[A-Za-z0-9]{40,}"),
    # Money, mail and messages.
    ("whsec_", r"whsec_[A-Za-z0-9+/=]{24,}"),
    ("shpat_ shpca_ shppa_ shpss_", r"shp(?:at|ca|pa|ss)_[0-9a-f]{32}"),
    ("sq0 EAAA", r"sq0(?:csp|atp)-[\w-]{22,}|EAAA[\w-]{56,}"),  # Square
    ("SK", r"SK[0-9a-f]{32}(?![0-9A-Za-z])"),  # Twilio
    ("key-", r"(?<!-)key-[0-9a-f]{32}(?![0-9A-Za-z])"),  # Mailgun
    (
        "MT MD Mz Mj NT ND Nz Nj OD OT",  # Discord: a number in base64, a time, a digest
        r"[MNO][TDzj][\w-]{21,26}\.[\w-]{6}\.(?=[\w-]*\d)[\w-]{27,45}",
    ),
)
# Those that begin with shorter words.
ISSUED_WITH_DOTS: tuple[tuple[str, str], ...] = (
    ("v1.0-", r"v1\.0-[0-9a-f]{24}-[0-9a-f]{100,}"),  # Cloudflare's origin CA
    ("hvs. hvb. hvr.", r"hv[sbr]\.[\w-]{24,}"),  # Vault
    ("dp.", r"dp\.(?:pt|st|ct|sa|scim|audit)\.[\w.-]{40,}(?<!\.)"),  # Doppler
    ("1//0", r"1//0[\w-]{40,}"),  # Google, to renew a token
)
