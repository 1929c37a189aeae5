"""Every error a person may see. One sentence says what is wrong and what to do; nothing else is shown.

StudioError
├── InvalidRequest      a field of a request is out of its bounds
├── UnknownModel        no model of that name is in the inventory
├── BrokenModel         a file of a model folder is missing, truncated or unsafe
├── MissingWeights      a model must be fetched first and cannot be (offline, cancelled)
│   └── Unreachable     the hub did not answer, or must not be asked
├── OutOfMemory         the device has no room for the run
├── QueueFull           too many jobs are waiting
├── Stopped             the result of a stopped job was asked for
├── BadLora             a LoRA file cannot be read, is forged, or would not change the model
├── BadPicture          a picture cannot be read or carries no request
├── BadPose             an OpenPose file cannot be read
├── NotAllowed          the person asking may not do this
│   └── NotSignedIn     nobody known is asking
├── QuotaSpent          a guest has used up this hour's share
├── BadPreset           a preset is damaged, or its name is no good
├── UnknownPreset       no preset of that name is here
└── InternalError       a defect: logged under an id, the id is shown
"""


class StudioError(Exception):
    """An error that may be shown to a person.

    `str(error)` is one sentence; `hint` says what to do next and may be empty when the sentence already does.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class InvalidRequest(StudioError):
    """A request field is out of its bounds or of the wrong type."""


class UnknownModel(StudioError):
    """The named model is not in the inventory."""


class BrokenModel(StudioError):
    """A model folder cannot be loaded; the sentence names the file."""


class MissingWeights(StudioError):
    """Weights are not on this machine and could not be fetched."""


class Unreachable(MissingWeights):
    """The model hub cannot be reached."""


class OutOfMemory(StudioError):
    """The device ran out of memory."""


class QueueFull(StudioError):
    """The queue, or one visitor's share of it, is full."""


class Stopped(StudioError):
    """The job was stopped, so it has no result."""


class BadPicture(StudioError):
    """A picture file cannot be read, or carries no request of ours."""


class BadLora(StudioError):
    """A LoRA file cannot be read or applied; the sentence names it."""


class BadPose(StudioError):
    """A pose cannot be read; the sentence names the part that is not as it must be."""


class NotAllowed(StudioError):
    """Whoever asks may not do this, or asks for it out of bounds."""


class NotSignedIn(NotAllowed):
    """A secret is wrong, used up, withdrawn or too old, or none was shown."""


class QuotaSpent(StudioError):
    """A guest's share of this hour is used up."""


class BadPreset(StudioError):
    """A preset cannot be read, saved or named so; the sentence names it."""


class UnknownPreset(StudioError):
    """No preset of that name is here."""


class InternalError(StudioError):
    """A defect in the studio; the log has the details under the id in the sentence."""
