"""The media example as a whole: an upload fans out by events and is joined again."""

from collections.abc import Iterator

import pytest
from faasight_emulator import Emulator, SourceKey
from local_app import call, running
from polling import wait_until

FINISHED = ("ready", "failed", "refused")
WORKERS = ("thumbnail", "transcode", "subtitles")


@pytest.fixture(scope="module")
def media() -> Iterator[Emulator]:
    """Run the template unchanged."""
    with running("media") as emulator:
        yield emulator


def upload(media: Emulator, name: str, body: bytes) -> str:
    status, answer = call(media, "POST", f"/media/{name}", body)
    assert status == 202
    return str(answer["id"])


def finished(media: Emulator, upload_id: str) -> dict[str, object]:
    """Return the job once it is over."""
    seen: list[dict[str, object]] = []

    def over() -> bool:
        seen[:] = [call(media, "GET", f"/media/{upload_id}")[1]]
        return seen[0].get("status") in FINISHED

    wait_until(over, f"{upload_id} is over")
    return seen[0]


def test_a_film_goes_to_all_workers_and_is_joined(media: Emulator) -> None:
    job = finished(media, upload(media, "holiday film.mp4".replace(" ", "%20"), b"a film"))
    parts = ["subtitles", "thumbnail", "transcode"]
    assert (job["status"], job["wanted"], job["done"], job["failed"]) == ("ready", parts, parts, [])


def test_an_image_goes_to_one(media: Emulator) -> None:
    before = media.counts()["transcode"].invocations
    job = finished(media, upload(media, "cat.png", b"meow"))
    assert (job["status"], job["done"]) == ("ready", ["thumbnail"])
    assert media.counts()["transcode"].invocations == before


def test_a_worker_that_fails_is_counted_at_the_join(media: Emulator) -> None:
    job = finished(media, upload(media, "film.mov", b"broken"))
    assert (job["status"], job["done"], job["failed"]) == ("failed", ["subtitles", "thumbnail"], ["transcode"])


def test_what_is_no_medium_is_refused(media: Emulator) -> None:
    assert finished(media, upload(media, "notes.txt", b"text"))["status"] == "refused"


def test_every_step_ran_once_for_each_event(media: Emulator) -> None:
    """What sources brought is what functions ran: nothing twice, nothing lost."""
    films = [upload(media, f"{n}.mp4", b"a film") for n in range(5)]
    assert {finished(media, one)["status"] for one in films} == {"ready"}
    pushed = [
        SourceKey("validate", "bucket", f"media-uploads-{media.place.account}"),
        *(SourceKey(worker, "topic", "media-topic") for worker in WORKERS),
        SourceKey("notify", "bus", "media-bus"),
    ]

    def agree() -> bool:
        told, ran = media.source_counts(), media.counts()
        parts = told[SourceKey("aggregate", "queue", "parts-queue")]
        return (
            all(told[key].received == told[key].processed == ran[key.function].invocations for key in pushed)
            and parts.received == parts.processed == sum(ran[worker].invocations for worker in WORKERS)
            and parts.batches == ran["aggregate"].invocations
        )

    wait_until(agree, "sources and functions count alike")
