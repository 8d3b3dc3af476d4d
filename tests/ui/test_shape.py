"""Shape fits on a page."""

from streamlit.testing.v1 import AppTest


def page(shapes):
    from ui.analysis.shape import show_shapes

    show_shapes(shapes)


def shown(shapes):
    app = AppTest.from_function(page, kwargs={"shapes": shapes}, default_timeout=60).run()
    assert not app.exception
    return app


def test_each_fit_is_shown_with_its_errors_and_score_if_any():
    both = {"model": "femurs", "kind": "bone_and_cart", "latent": [0.5, -1.0], "assd_bone_mm": 0.44, "Bscore": 0.0}
    bone = {"model": "bones", "kind": "bone_only", "latent": [2.0], "assd_bone_mm": 0.5}
    app = shown([both | {"assd_cartilage_mm": 0.39}, bone])
    assert [item.value for item in app.subheader] == ["Bone and cartilage", "Bone alone"]
    blocks = [item.proto.body for item in app.get("html")]
    assert "<dt>B-score</dt><dd>0.00</dd>" in blocks[0]
    assert "<dd>0.39</dd>" in blocks[0]
    assert "B-score</dt>" not in blocks[1]
    assert "have not been compared" in blocks[2]
    assert "have not been compared" not in shown([bone]).get("html")[1].proto.body


def test_a_missing_record_is_reported():
    assert "has no record" in shown([{}]).info[0].value
