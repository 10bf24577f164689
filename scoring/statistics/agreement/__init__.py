"""The agreement of a metric with people: against chance, a constant choice and other metrics, with ties and margins."""
