"""``windlass models``: which models there are, without asking any of them."""

from __future__ import annotations

import rich_click as click

from windlass.cli.common import console, json_list_option, print_json
from windlass.cli.root import safe


@click.command("models")
@json_list_option
def models(as_json: bool) -> None:
    """List aliases and roles with their prices, and what is missing (package, key). Uses no network.

    Aliases are set in windlass.toml:

    \b
    [models.local]
    model = "openai-chat:qwen3"
    base_url = "http://localhost:8000/v1"
    price = "free"
    """
    from rich.table import Table
    from rich.text import Text

    from windlass.llm.catalog import describe
    from windlass.llm.config import ModelConfig
    from windlass.settings import config_file, load_settings
    from windlass.wiring import NO_MODEL, model_configs, roles

    settings = load_settings()
    found = describe(
        roles(settings.model, settings.fast_model, settings.judge_model),
        model_configs(settings),
        env=settings.environment,
        defaults=ModelConfig(model=settings.model or ""),
    )
    if as_json:
        print_json(
            [
                {
                    "name": m.name,
                    "model": m.model,
                    "roles": list(m.roles),
                    "base_url": m.base_url,
                    "price": {
                        "policy": m.price.policy,
                        "input_per_million": _number(m.price.input_per_million),
                        "output_per_million": _number(m.price.output_per_million),
                    },
                    "fallbacks": list(m.fallbacks),
                    "missing": list(m.missing),
                }
                for m in found
            ]
        )
        return
    out = console()
    if not found:
        out.print(NO_MODEL, soft_wrap=True)
        out.print(f"Aliases go into {config_file()}.", soft_wrap=True)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("name", "model", "roles", "price per million tokens", "state"):
        table.add_column(column)
    for m in found:
        price: str = m.price.policy
        if m.price.input_per_million is not None:
            price += f": ${m.price.input_per_million} in, ${m.price.output_per_million} out"
        state = Text("ready", style="green") if not m.missing else Text(" ".join(m.missing), style="yellow")
        where = f" at {m.base_url}" if m.base_url else ""
        table.add_row(safe(m.name), safe(m.model + where), ", ".join(m.roles), price, state)
    out.print(table)


def _number(value: object) -> float | None:
    return None if value is None else float(str(value))
