"""``windlass completion``: the script that makes a shell complete Windlass's commands."""

from __future__ import annotations

import rich_click as click


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script for SHELL.

    \b
    windlass completion bash >> ~/.bashrc
    windlass completion zsh  >> ~/.zshrc
    windlass completion fish > ~/.config/fish/completions/windlass.fish
    """
    from click.shell_completion import get_completion_class

    from windlass.cli.root import cli

    cls = get_completion_class(shell)
    assert cls is not None
    print(cls(cli, {}, "windlass", "_WINDLASS_COMPLETE").source())
