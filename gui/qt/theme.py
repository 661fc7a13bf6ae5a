"""Light, dark or as the system: one palette each, calm greys and one blue that colour-blind eyes tell apart."""

from __future__ import annotations

from typing import Literal, TypeAlias

from PyQt6.QtCore import Qt
from PyQt6.QtGui import QColor, QGuiApplication, QIcon, QPalette
from PyQt6.QtWidgets import QApplication, QProxyStyle, QStyle, QStyleOption, QWidget

from gui.qt.icons import icon

__all__ = ["THEMES", "Theme", "accent", "apply_theme", "is_dark"]

Theme: TypeAlias = Literal["system", "light", "dark"]
THEMES: tuple[Theme, ...] = ("system", "light", "dark")

LIGHT = {
    "Window": "#f5f6f7", "WindowText": "#1d2126", "Base": "#ffffff", "AlternateBase": "#f0f2f4", "Text": "#1d2126",
    "Button": "#eceef1", "ButtonText": "#1d2126", "BrightText": "#b3261e", "Highlight": "#0066a1",
    "HighlightedText": "#ffffff", "ToolTipBase": "#1d2126", "ToolTipText": "#f5f6f7", "PlaceholderText": "#6a737d",
    "Link": "#0066a1", "LinkVisited": "#5b4b8a", "Light": "#ffffff", "Midlight": "#e3e6e9", "Mid": "#c4c9cf",
    "Dark": "#9aa2ab", "Shadow": "#6a737d", "Accent": "#0066a1",
}  # fmt: skip
DARK = {
    "Window": "#1b1e22", "WindowText": "#e6e9ec", "Base": "#14171a", "AlternateBase": "#1f2328", "Text": "#e6e9ec",
    "Button": "#2a2f35", "ButtonText": "#e6e9ec", "BrightText": "#ff8a7a", "Highlight": "#2f7fb8",
    "HighlightedText": "#ffffff", "ToolTipBase": "#2f353c", "ToolTipText": "#e6e9ec", "PlaceholderText": "#8d97a1",
    "Link": "#7cc4f5", "LinkVisited": "#b9a7e8", "Light": "#3a4149", "Midlight": "#30363d", "Mid": "#3a4149",
    "Dark": "#101215", "Shadow": "#000000", "Accent": "#56b4e9",
}  # fmt: skip
DISABLED = {"light": "#9aa2ab", "dark": "#6a737d"}

OWN_ICONS = {
    QStyle.StandardPixmap.SP_TitleBarCloseButton: "close-panel",
    QStyle.StandardPixmap.SP_TitleBarNormalButton: "float-panel",
    QStyle.StandardPixmap.SP_ToolBarHorizontalExtensionButton: "more",
}
"""Of the buttons that a dock's title has, and of the one for what a tool bar has no room for."""

STYLE = """
QToolTip {{ background: {tip}; color: {tip_text}; border: 0; padding: 4px 6px; }}
QPushButton {{ padding: 5px 14px; border: 1px solid {line}; border-radius: 5px; background: {button}; }}
QPushButton:hover {{ background: {hover}; }}
QPushButton:pressed, QPushButton:checked {{ background: {pressed}; }}
QPushButton:focus {{ border-color: {accent}; }}
QPushButton:disabled {{ color: {disabled}; }}
QPushButton:default {{ background: {highlight}; color: white; border-color: {highlight}; }}
QToolButton {{ padding: 4px; border: 1px solid transparent; border-radius: 5px; }}
QToolButton#qt_toolbar_ext_button {{ padding: 0; }}
QToolButton:hover {{ background: {hover}; }}
QToolButton:pressed, QToolButton:checked {{ background: {pressed}; }}
QToolButton:focus {{ border-color: {accent}; }}
QToolBar {{ border: 0; border-bottom: 1px solid {line}; spacing: 3px; padding: 3px 6px; }}
QStatusBar {{ border-top: 1px solid {line}; }}
QStatusBar::item {{ border: 0; }}
QDockWidget::title {{ padding: 6px 8px; background: {window}; font-weight: 600; }}
QLineEdit {{ padding: 3px 6px; border: 1px solid {line}; border-radius: 4px; background: {base}; min-height: 18px; }}
QComboBox QAbstractItemView {{ background: {base}; color: {text}; border: 1px solid {line}; outline: 0;
  selection-background-color: {highlight}; selection-color: white; }}
QComboBox QAbstractItemView::item {{ min-height: 22px; padding: 2px 6px; }}
QComboBox QAbstractItemView::item:selected {{ background: {highlight}; color: white; }}
QLineEdit:focus {{ border-color: {accent}; }}
QLineEdit[invalid="true"] {{ border: 2px solid {wrong}; }}
QLabel[role="wrong"] {{ color: {wrong}; }}
QLabel[role="quiet"] {{ color: {quiet}; }}
QLabel[role="title"] {{ font-size: 22px; font-weight: 600; }}
QLabel[role="heading"] {{ font-weight: 600; }}
QCheckBox::indicator:unchecked:enabled, QGroupBox::indicator:unchecked:enabled,
QAbstractItemView::indicator:unchecked:enabled {{ width: 12px; height: 12px; border: 1px solid {quiet};
  border-radius: 2px; background: {base}; }}
QListWidget, QTableView, QTreeView, QPlainTextEdit, QTextBrowser {{ border: 1px solid {line}; border-radius: 4px;
  background: {base}; }}
QHeaderView::section {{ padding: 4px 6px; border: 0; border-bottom: 1px solid {line}; background: {window}; }}
QProgressBar {{ border: 0; border-radius: 3px; background: {hover}; max-height: 6px; text-align: center; }}
QProgressBar::chunk {{ border-radius: 3px; background: {accent}; }}
QMenu {{ padding: 4px; border: 1px solid {line}; }}
QMenu::item {{ padding: 5px 24px 5px 20px; border-radius: 4px; }}
QMenu::item:selected {{ background: {highlight}; color: white; }}
QTabBar::tab {{ padding: 6px 14px; border: 0; }}
QTabBar::tab:selected {{ border-bottom: 2px solid {accent}; font-weight: 600; }}
"""


class _Style(QProxyStyle):
    """Draws bars and titles with the app's icons where the style's own are dark on dark."""

    def standardIcon(  # noqa: N802 - Qt's name
        self,
        name: QStyle.StandardPixmap,
        option: QStyleOption | None = None,
        widget: QWidget | None = None,
    ) -> QIcon:
        """Ours, or the style's."""
        own = OWN_ICONS.get(name)
        return super().standardIcon(name, option, widget) if own is None else icon(own)


def is_dark(theme: Theme) -> bool:
    """Whether the theme comes out dark here."""
    if theme != "system":
        return theme == "dark"
    hints = QGuiApplication.styleHints()
    return hints is not None and hints.colorScheme() == Qt.ColorScheme.Dark


def apply_theme(app: QApplication, theme: Theme) -> None:
    """Dress the whole application."""
    dark = is_dark(theme)
    colours = DARK if dark else LIGHT
    app.setStyle(_Style("Fusion"))
    palette = QPalette()
    for name, colour in colours.items():
        palette.setColor(QPalette.ColorRole[name], QColor(colour))
    faded = QColor(DISABLED["dark" if dark else "light"])
    for role in (QPalette.ColorRole.Text, QPalette.ColorRole.WindowText, QPalette.ColorRole.ButtonText):
        palette.setColor(QPalette.ColorGroup.Disabled, role, faded)
    app.setPalette(palette)
    app.setStyleSheet(
        STYLE.format(
            tip=colours["ToolTipBase"],
            tip_text=colours["ToolTipText"],
            line=colours["Mid"] if dark else "#d5d9de",
            button=colours["Button"],
            hover="#353b43" if dark else "#e3e6e9",
            pressed="#40474f" if dark else "#d3d9df",
            accent=colours["Accent"],
            highlight=colours["Highlight"],
            disabled=faded.name(),
            window=colours["Window"],
            base=colours["Base"],
            text=colours["Text"],
            wrong=colours["BrightText"],
            quiet=colours["PlaceholderText"],
        )
    )


def accent(palette: QPalette) -> QColor:
    """The one colour that marks what is chosen or at work."""
    return palette.color(QPalette.ColorRole.Accent)
