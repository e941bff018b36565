"""What follows from an answer, in the OpenAPI document (OpenAPI 3.1, "Link Object"): which of its values other operations take."""

from __future__ import annotations

from typing import Any, Final

OF_REPOSITORIES: Final = (
    *("get_repository", "list_findings", "list_fixes", "create_fix", "update_repository"),
    *("create_scan", "list_scans"),
)


def link(code: int, operations: tuple[str, ...], **parameters: str) -> dict[int | str, dict[str, Any]]:
    """For `responses` of a route.

    Args:
        code: of the answer that has the values.
        operations: that take them.
        parameters: by name, a runtime expression (`$response.body#/id`).
    """
    links = {name: {"operationId": name, "parameters": parameters} for name in operations}
    return {code: {"links": links}}
