"""`penpress registry …`: a model's way to production, from the command line.

Every command imports what it needs when it runs.
"""

import typer

app = typer.Typer(name="registry", help="Select, register, promote and inspect models.", no_args_is_help=True)
