"""The client of Semblance's API: studies from their file to their report, in a script or a notebook."""

from semblance_client.connection import Problem
from semblance_client.reports import Report
from semblance_client.site import Semblance
from semblance_client.studies import Study
from semblance_client.waiting import NotInTime

__all__ = ["NotInTime", "Problem", "Report", "Semblance", "Study"]
