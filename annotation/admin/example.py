"""The study file that the admin's form begins with."""

EXAMPLE = """\
name = "My study"
# slug = "my-study"            # drawn from the name if left out
source = "generated"           # or "images" (imported), or "external" (votes and scores only)
notice = ""                    # printed on every page of the report

[models.a]
name = "Model A"
checkpoint = "/path/to/model-a" # a local folder; or a hub id together with revision = "40 digits"
prompt_template = "{prompt}"

[models.b]
name = "Model B"
checkpoint = "/path/to/model-b"
prompt_template = "{prompt}"

[prompts]
list = [
  "a red bicycle",
  "a lighthouse at dusk",
]

[images]
per_set = 20
seeds = 7                      # one number that they are drawn from, or a list of 20

[annotation]
overlap = 5                    # votes wanted for each comparison
comparisons_per_annotator = 60
ties = false
"""
