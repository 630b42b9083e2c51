"""Fonts of reports: glyphs, determinism, no system font needed."""

import base64
import io

import pytest
from fontTools.ttLib import TTFont
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure

from eco_index.errors import InputError
from eco_index.report import fonts
from eco_index.report.png import figure_png
from eco_index.report.text import LANGUAGES, load_texts


def cmap(data: bytes) -> set[str]:
    with TTFont(io.BytesIO(data)) as font:
        return {chr(c) for c in font.getBestCmap()}


def decode(uri: str) -> bytes:
    return base64.b64decode(uri.partition(",")[2])


def test_the_simplified_chinese_face_is_found_by_name():
    with TTFont(fonts.font_file(), fontNumber=fonts.face_index(), lazy=True) as font:
        assert font["name"].getDebugName(1) == "Noto Sans CJK SC"


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_word_of_the_report_has_a_glyph(language):
    assert fonts.missing_glyphs(load_texts(language).values()) == []


def test_a_character_without_glyph_is_named():
    with pytest.raises(InputError, match=r"U\+182E MONGOLIAN LETTER MA"):
        fonts.require_glyphs(["旗 ᠮ"], "zones")
    assert fonts.missing_glyphs(["内蒙古 km²−\n"]) == []


def test_the_web_font_holds_just_the_characters_of_the_page():
    wanted = fonts.charset(["呼伦贝尔市"])
    uri = fonts.web_font(fonts.subset_otf(fonts.charset(["呼伦贝尔市鄂尔多斯"])), wanted)
    assert cmap(decode(uri)) == set(wanted)


@settings(max_examples=3, deadline=None)
@given(st.text(alphabet="内蒙古自治区生态环境厅草原森林湿地沙地", max_size=12))
def test_the_web_font_does_not_depend_on_the_font_it_is_cut_from(more):
    wanted = fonts.charset(["内蒙古"])
    small = fonts._make(wanted)
    large = fonts._make(fonts.charset(["内蒙古", more]))
    assert fonts.web_font(small, wanted) == fonts.web_font(large, wanted)


def test_a_page_character_that_the_font_lacks_is_an_error():
    with pytest.raises(InputError, match="lacks U\\+8349"):
        fonts.web_font(fonts._make(fonts.charset([])), "草")


def test_figures_refuse_a_character_without_glyph():
    with fonts.figure_font(fonts._make(fonts.charset(["草原"]))) as font:
        for text, good in (("草原", True), ("森", False)):
            figure = Figure(figsize=(1, 1))
            figure.text(0.5, 0.5, text, fontproperties=font)
            if good:
                assert figure_png(figure)[:4] == b"\x89PNG"
            else:
                with pytest.raises(InputError, match="has no glyph"):
                    figure_png(figure)
