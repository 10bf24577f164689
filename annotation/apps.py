from django.apps import AppConfig


class AnnotationConfig(AppConfig):
    name = "annotation"

    def ready(self) -> None:
        from annotation import checks  # noqa: F401 - registers the checks, which read the settings
        from annotation.studies.lifecycle.embedding import sinks_of
        from generation.sampling.recording import sink_makers

        sink_makers[:] = [sinks_of]
