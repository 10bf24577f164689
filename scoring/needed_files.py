"""What queued scoring jobs need of the hub."""

from generation.hub.fetches import Need
from scoring.checkpoints import is_encoder_at_hand, wanted_encoder
from scoring.encoder_spec import EncoderSpec
from scoring.models import ScoringJob


def encoder_needs() -> list[Need]:
    """Return the encoders of queued scoring jobs that are not on this host."""
    queued = ScoringJob.objects.filter(state=ScoringJob.State.QUEUED).order_by()
    needs = []
    for document in queued.values_list("encoder", flat=True).distinct():
        spec = EncoderSpec(**document)
        wanted = None if is_encoder_at_hand(spec) else wanted_encoder(spec)
        if wanted is not None:
            needs.append(Need([wanted], queued.filter(metric=spec.metric)))
    return needs
