from tests.report_worker import report_worker

__all__ = ["report_worker"]
