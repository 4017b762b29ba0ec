"""The root key in AWS Key Management Service (extra `aws`).

The context is passed as an encryption context: KMS binds it to the ciphertext and prints it in CloudTrail, where it
shows the ring file's identity and nothing else.
"""

import asyncio
import base64
from collections.abc import Callable
from typing import Any

from vault.errors import RootKeyMissingError, RootKeyRefusedError, RootKeyUnavailableError

_REFUSED = frozenset(
    {
        "AccessDeniedException",
        "DisabledException",
        "ExpiredTokenException",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "KMSInvalidStateException",
        "NotFoundException",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
_WRONG = frozenset({"InvalidCiphertextException", "IncorrectKeyException"})


class AwsKmsRootKey:
    """A symmetric KMS key, by its id, ARN or alias."""

    def __init__(self, key_id: str, client: Any) -> None:
        """Use `connect`, unless the client needs options of its own.

        Args:
            key_id: Key id, ARN or `alias/...` of a symmetric encryption key.
            client: A boto3 KMS client.
        """
        self._key_id = key_id
        self._client = client

    @classmethod
    def connect(
        cls,
        key_id: str,
        *,
        region: str | None = None,
        endpoint: str | None = None,
        timeout_seconds: float = 10.0,
    ) -> "AwsKmsRootKey":
        """The key, with credentials from where AWS's own tools take them (environment, profile, instance role).

        Args:
            key_id: Key id, ARN or `alias/...` of a symmetric encryption key.
            region: Its region, or None for the one AWS's own settings give.
            endpoint: Another address than the region's own: a VPC endpoint, or a local service.
            timeout_seconds: For connecting and for each answer.

        Raises:
            RootKeyMissingError: The extra `aws` is not installed.
            RootKeyRefusedError: AWS's own settings name no region, or are not well formed.
        """
        try:
            import boto3  # noqa: PLC0415 - an optional extra
            from botocore.config import Config  # noqa: PLC0415 - an optional extra
            from botocore.exceptions import BotoCoreError  # noqa: PLC0415 - an optional extra
        except ImportError as error:
            raise RootKeyMissingError("install the extra `aws` to keep the root key in AWS KMS") from error
        config = Config(
            connect_timeout=timeout_seconds,
            read_timeout=timeout_seconds,
            retries={"mode": "standard", "total_max_attempts": 3},
        )
        try:
            client = boto3.client("kms", region_name=region, endpoint_url=endpoint, config=config)
        except (BotoCoreError, ValueError) as error:
            raise RootKeyRefusedError("AWS KMS cannot be used with these settings") from error
        return cls(key_id, client)

    def describe(self) -> str:
        """The provider and the key's public name."""
        return f"aws-kms:{self._key_id}"

    async def wrap(self, plaintext: bytes, context: bytes) -> bytes:
        """As `RootKey.wrap`."""
        answer = await self._call(
            lambda: self._client.encrypt(
                KeyId=self._key_id, Plaintext=plaintext, EncryptionContext=_encryption_context(context)
            )
        )
        return bytes(answer["CiphertextBlob"])

    async def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """As `RootKey.unwrap`. The key is named in the request, so a ciphertext of another key is refused."""
        answer = await self._call(
            lambda: self._client.decrypt(
                KeyId=self._key_id, CiphertextBlob=wrapped, EncryptionContext=_encryption_context(context)
            )
        )
        return bytes(answer["Plaintext"])

    async def _call(self, request: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        from botocore.exceptions import (  # noqa: PLC0415 - an optional extra
            BotoCoreError,
            ClientError,
            NoCredentialsError,
            PartialCredentialsError,
        )

        try:
            return await asyncio.to_thread(request)
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
        except (NoCredentialsError, PartialCredentialsError):
            raise RootKeyRefusedError("there are no credentials for AWS KMS") from None
        except BotoCoreError:
            raise RootKeyUnavailableError("AWS KMS did not answer") from None
        # AWS's own messages name callers and keys, so only the kind of answer is passed on.
        if code in _WRONG:
            raise RootKeyRefusedError("AWS KMS says that this key did not wrap the ring file")
        if code in _REFUSED:
            raise RootKeyRefusedError("AWS KMS does not let us use this key")
        raise RootKeyUnavailableError("AWS KMS could not serve the request")


def _encryption_context(context: bytes) -> dict[str, str]:
    return {"confide": base64.urlsafe_b64encode(context).decode()}
