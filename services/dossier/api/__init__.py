"""The dossier service's routes: events in; dossiers, log, feed and reference data out."""

from collections.abc import Mapping
from http import HTTPStatus

from fastapi import APIRouter

from services.dossier import wire
from services.dossier.api import edge, events, reads, reference
from services.dossier.intake import Overloaded
from services.dossier.state import State
from services.kit import body, door
from services.kit.problems import Problem

PROBLEMS: Mapping[type[Exception], Problem] = {
    door.NotInternal: Problem(HTTPStatus.FORBIDDEN, "not_internal", "Dịch vụ này chỉ trả lời qua cổng."),
    wire.NotJson: Problem(HTTPStatus.BAD_REQUEST, "not_json", "Nội dung gửi lên không phải JSON hợp lệ."),
    wire.TooManyEvents: Problem(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_many_events", "Mỗi yêu cầu chứa tối đa 5.000 sự kiện."
    ),
    wire.InvalidReference: Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_reference", "Dữ liệu danh mục không hợp lệ."
    ),
    body.TooLarge: Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "body_too_large", "Nội dung gửi lên vượt quá 5 MB."),
    edge.UnsupportedMediaType: Problem(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", "Kiểu nội dung không được hỗ trợ."
    ),
    reads.OtherProvince: Problem(HTTPStatus.FORBIDDEN, "other_province", "Khoá truy cập thuộc về tỉnh khác."),
    reads.UnknownDossier: Problem(HTTPStatus.NOT_FOUND, "unknown_dossier", "Không tìm thấy hồ sơ."),
    edge.UnknownPosition: Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "unknown_position", "Vị trí không hợp lệ."),
    edge.ProvinceOnly: Problem(
        HTTPStatus.FORBIDDEN, "province_only", "Chỉ khoá truy cập của toàn tỉnh được thực hiện thao tác này."
    ),
    Overloaded: Problem(HTTPStatus.SERVICE_UNAVAILABLE, "overloaded", "Hệ thống đang bận; hãy gửi lại.", 1),
}


def router(state: State) -> APIRouter:
    """Return all routes of the service over `state`."""
    routes = APIRouter()
    for part in (events, reads, reference):
        routes.include_router(part.router(state))
    return routes
