"""The properties of a SAM function, to find those that are misspelt: CloudFormation refuses them, late."""

import difflib
from collections.abc import Iterable

# Source: AWS SAM developer guide, AWS::Serverless::Function.
_KNOWN = frozenset(
    (
        "Architectures", "AssumeRolePolicyDocument", "AutoPublishAlias", "AutoPublishAliasAllProperties",
        "AutoPublishCodeSha256", "CapacityProviderConfig", "CodeSigningConfigArn", "CodeUri", "DeadLetterQueue",
        "DeploymentPreference", "Description", "DurableConfig", "Environment", "EphemeralStorage", "EventInvokeConfig",
        "Events", "FileSystemConfigs", "FunctionName", "FunctionScalingConfig", "FunctionUrlConfig", "Handler",
        "ImageConfig", "ImageUri", "InlineCode", "KmsKeyArn", "Layers", "LoggingConfig", "MemorySize",
        "MultiTenancyConfig", "PackageType", "PermissionsBoundary", "Policies", "PropagateTags",
        "ProvisionedConcurrencyConfig", "PublishToLatestPublished", "RecursiveLoop", "ReservedConcurrentExecutions",
        "Role", "RolePath", "Runtime", "RuntimeManagementConfig", "SnapStart", "SourceKMSKeyArn", "Tags",
        "TenancyConfig", "Timeout", "Tracing", "VersionDeletionPolicy", "VersionDescription", "VpcConfig",
    )
)  # fmt: skip
_LIKE = 0.75


def misspelt(names: Iterable[str]) -> list[tuple[str, str]]:
    """Return (name, the property that is meant) for each that is none, but is much like one."""
    by_lower = {one.lower(): one for one in _KNOWN}
    found = []
    for name in names:
        if name in _KNOWN:
            continue
        near = difflib.get_close_matches(name.lower(), by_lower, 1, _LIKE)
        if near:
            found.append((name, by_lower[near[0]]))
    return found
