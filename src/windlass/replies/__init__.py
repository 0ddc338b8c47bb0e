"""Reply text -> file changes (:func:`parse_reply`) or list items (:func:`parse_list`). Pure, no I/O."""

from windlass.errors import ReplyError
from windlass.replies.kinds import KINDS
from windlass.replies.lists import parse_list
from windlass.replies.parse import parse_reply

#: The name under which earlier releases offered :func:`parse_list`.
extract_markdown_list_items = parse_list

__all__ = ["KINDS", "ReplyError", "extract_markdown_list_items", "parse_list", "parse_reply"]
